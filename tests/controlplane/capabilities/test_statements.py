"""A statement is one device's word about its site, and nobody else's about anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.statements import make_statement, read_statement, statement_digest
from controlplane.contracts.site import SiteDecision
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey
from tests.controlplane.contracts.samples import SAMPLES

KEY, OTHER = DeviceKey.generate(), DeviceKey.generate()
SAMPLE = dict(SAMPLES)[SiteDecision]


def decision(key: DeviceKey = KEY, **changes: Any) -> SiteDecision:
    return SiteDecision.model_validate({**SAMPLE, "subject": f"dev-{key.thumbprint}", **changes})


def signed(key: DeviceKey, header: dict[str, Any], payload: bytes) -> str:
    return key.sign(encode_segment(json.dumps(header).encode()), payload)


def header(key: DeviceKey = KEY, **changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "jwk": key.public.model_dump(), "typ": "ztfm-site+jwt", **changes}


def test_what_was_stated_is_read() -> None:
    stated = make_statement(KEY, decision())
    assert read_statement(stated, KEY.thumbprint) == decision()
    assert statement_digest(stated) != statement_digest(make_statement(KEY, decision()))


def test_nobody_states_for_another_device() -> None:
    for stated in (make_statement(OTHER, decision()), make_statement(KEY, decision(OTHER))):
        assert read_statement(stated, KEY.thumbprint) is None
        assert read_statement(stated, OTHER.thumbprint) is None


def test_a_proof_is_no_statement_and_a_statement_no_proof() -> None:
    proof = make_proof(KEY, method="POST", url="https://control.example/v1/site/decisions", now=1.0)
    assert read_statement(proof, KEY.thumbprint) is None
    payload = decision().model_dump_json().encode()
    assert read_statement(signed(KEY, header(), payload), KEY.thumbprint) == decision()
    assert read_statement(signed(KEY, header(typ="dpop+jwt"), payload), KEY.thumbprint) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"jwk": None},
        {"jwk": OTHER.public.model_dump()},
        {"jwk": {**KEY.public.model_dump(), "d": "A" * 43}},
        {"kid": "x"},
        {"crit": ["x"]},
    ],
)
def test_another_header_states_nothing(changes: dict[str, Any]) -> None:
    payload = decision().model_dump_json().encode()
    assert read_statement(signed(KEY, header(**changes), payload), KEY.thumbprint) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"sequence":1}',
        json.dumps({**SAMPLE, "subject": f"dev-{KEY.thumbprint}", "allow": True}).encode(),
        json.dumps({**SAMPLE, "subject": f"dev-{KEY.thumbprint}", "sequence": 0}).encode(),
        json.dumps({**SAMPLE, "subject": f"dev-{KEY.thumbprint}", "outcome": "error"}).encode(),
        json.dumps({**SAMPLE, "subject": f"dev-{KEY.thumbprint}", "time": 1e300}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_decision_states_nothing(payload: bytes) -> None:
    assert read_statement(signed(KEY, header(), payload[:5000]), KEY.thumbprint) is None


@given(st.text() | st.binary() | st.none() | st.integers())
def test_whatever_comes_is_read_or_is_nothing(found: object) -> None:
    assert read_statement(found, KEY.thumbprint) is None


@given(st.integers(0, 10_000), st.integers(1, 127))
def test_no_changed_statement_is_read(place: int, change: int) -> None:
    stated = make_statement(KEY, decision()).encode()
    place %= len(stated)
    changed = stated[:place] + bytes([(stated[place] ^ change) & 0x7F]) + stated[place + 1 :]
    assert read_statement(changed.decode("ascii"), KEY.thumbprint) in (None,)
