"""AWS Nitro: a document counts under a certificate that leads to AWS's root, at its time, in its one spelling."""

import hashlib
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.attestation.nitro import MAX_DOCUMENT
from controlplane.attestation.verifiers.nitro import NitroVerifier, open_verifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_chains import AT, BEGINS, NOW, authority, der, ec_key, pem
from tests.controlplane.attestation.making_nitro import BINDING, PCRS, PROTECTED, SIGNER, Cloud
from tests.controlplane.attestation.recorded import recorded

CLOUD = Cloud()
VERIFIER = NitroVerifier(Anchors({"aws-nitro": [CLOUD.root.certificate]}))
DOCUMENT = CLOUD.document()
RECORDED_AT = 1_695_049_410.86


def verified(document: bytes = DOCUMENT, at: float = AT) -> Claims:
    return VERIFIER.verify({"document": document}, at)


def cause(document: bytes, at: float = AT) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(document, at)
    return refused.value.cause


def holding(**change: Any) -> str:
    return cause(CLOUD.document(**change))


def recorded_verifier() -> NitroVerifier:
    return NitroVerifier(Anchors({"aws-nitro": read_pem(recorded("nitro/aws-nitro-root.pem"), "aws", 8)}))


def test_a_document_says_what_the_enclave_is() -> None:
    verifier: Verifier = VERIFIER
    assert verifier.verify({"document": DOCUMENT}, AT) == Claims(
        kind="nitro",
        anchor="aws-nitro",
        platform=hashlib.sha256(b"i-0123").hexdigest(),
        bound=BINDING.hex(),
        debug=False,
        status="unstated",
        measurements={f"pcr{pcr}": value.hex() for pcr, value in PCRS.items()},
        versions={},
        attributes={"module_id": "i-0123-enc4567", "digest": "sha384"},
        advisories=[],
        made_at=AT,
    )


def test_a_tag_before_the_document_changes_nothing() -> None:
    assert verified(b"\xd2" + DOCUMENT) == verified()
    assert cause(b"\xd1" + DOCUMENT) == cause(b"\xd2\xd2" + DOCUMENT) == "malformed"


def test_what_it_carries_is_its_nonce_and_user_data_is_no_binding() -> None:
    both = verified(CLOUD.document(user_data=b"user", public_key=b"key"))
    assert both.bound == BINDING.hex()
    assert both.measurements["user_data"] == hashlib.sha256(b"user").hexdigest()
    assert both.measurements["public_key"] == hashlib.sha256(b"key").hexdigest()
    confused = verified(CLOUD.document(nonce=..., user_data=BINDING, public_key=...))
    assert confused.bound == hashlib.sha384(BINDING).hexdigest()
    assert confused.measurements["user_data"] == hashlib.sha256(BINDING).hexdigest()
    assert verified(CLOUD.document(nonce=b"n" * 129)).bound == hashlib.sha384(b"n" * 129).hexdigest()
    assert holding(nonce=None) == holding(nonce=b"") == "unbound"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_enclave_without_a_measured_image_is_debugged(index: int) -> None:
    assert verified(CLOUD.document(pcrs={**PCRS, index: bytes(48)})).debug
    assert verified(CLOUD.document(pcrs={pcr: value for pcr, value in PCRS.items() if pcr != index})).debug


@pytest.mark.parametrize(
    "change",
    [
        {"module_id": ""},
        {"module_id": "n" * 129},
        {"module_id": "a\nb"},
        {"module_id": b"bytes"},
        {"module_id": ...},
        {"timestamp": 0},
        {"timestamp": True},
        {"timestamp": -1},
        {"timestamp": 2**64 - 1},
        {"pcrs": {}},
        {"pcrs": {0: b"\1" * 32}},
        {"pcrs": {32: b"\1" * 48}},
        {"pcrs": {-1: b"\1" * 48}},
        {"pcrs": {"0": b"\1" * 48}},
        {"pcrs": [b"\1" * 48]},
        {"certificate": b""},
        {"certificate": b"\1" * 1025},
        {"certificate": b"nothing"},
        {"cabundle": []},
        {"cabundle": [b""]},
        {"cabundle": [b"nothing"]},
        {"cabundle": CLOUD.bundle * 3},
        {"public_key": b""},
        {"public_key": b"k" * 1025},
        {"user_data": b"u" * 513},
        {"nonce": b"n" * 513},
        {"nonce": "text"},
        {"more": 1},
    ],
)
def test_a_field_that_is_not_as_aws_says_is_refused(change: dict[str, Any]) -> None:
    assert holding(**change) == "malformed"


def test_registers_of_another_hash_are_refused() -> None:
    assert holding(digest="SHA256") == "unsupported"


def test_headers_say_es384_and_nothing_else() -> None:
    payload = cbor2.dumps(CLOUD.fields())
    for protected in (b"", cbor2.dumps({1: -7}), cbor2.dumps({1: -35, 2: 3}), b"\xa1\x01\x38\x22\x00"):
        assert cause(CLOUD.signed(payload, protected)) == "unsupported"
    assert cause(CLOUD.signed(payload, unprotected={4: b"key"})) == "unsupported"
    parts: list[Any] = [PROTECTED, {}, payload, CLOUD.sign(payload)]
    others: list[Any] = [
        parts[:3],
        [*parts, 1],
        [PROTECTED, {}, None, parts[3]],
        [PROTECTED, {}, payload, parts[3][:95]],
        [PROTECTED, {}, payload, "s" * 96],
        {},
        5,
    ]
    for bad in others:
        assert cause(cbor2.dumps(bad)) == "malformed"
    assert cause(cbor2.dumps([PROTECTED, {}, payload, bytes(96)])) == "signature"
    assert cause(CLOUD.signed(b"\x01")) == cause(CLOUD.signed(b"")) == "malformed"


def test_only_one_spelling_of_a_document_is_read() -> None:
    payload = cbor2.dumps(CLOUD.fields())
    assert payload[0] == 0xA9
    twice = b"\xaa" + payload[1:] + cbor2.dumps("nonce") + cbor2.dumps(BINDING)
    endless = b"\xbf" + payload[1:] + b"\xff"
    longer = b"\xb8\x09" + payload[1:]
    for spelled in (twice, endless, longer, payload + b"\0"):
        assert cause(CLOUD.signed(spelled)) == "malformed"
    body = DOCUMENT[1:]
    for spelled in (b"\x9f" + body + b"\xff", b"\x98\x04" + body, b"\xd8\x12" + DOCUMENT, DOCUMENT + b"\0"):
        assert cause(spelled) == "malformed"
    with pytest.raises(EvidenceRefused, match=r"more than 16384$"):
        verified(bytes(MAX_DOCUMENT + 1))
    assert cause(b"\x81" * MAX_DOCUMENT) == cause(DOCUMENT + bytes(MAX_DOCUMENT)) == "malformed"


def test_the_chain_leads_from_the_root_to_the_document_in_that_order() -> None:
    root, zone, machine = CLOUD.bundle
    stranger = Cloud()
    assert verified(CLOUD.document(cabundle=[zone, machine])) == verified()
    for bundle in ([machine, zone, root], [root, machine, zone], [root, zone], [root], stranger.bundle):
        assert holding(cabundle=bundle) in {"untrusted", "signature"}
    assert cause(stranger.document()) == "untrusted"
    assert holding(certificate=der(stranger.leaf)) == "signature"


def test_the_certificate_is_for_signatures_on_p384() -> None:
    cloud = Cloud()
    verifier = NitroVerifier(Anchors({"aws": [cloud.root.certificate]}))
    cases = {
        "untrusted": [cloud.machine.certify("leaf", cloud.key), cloud.machine.certify("leaf", cloud.key, authority())],
        "unsupported": [cloud.machine.certify("leaf", ec.generate_private_key(ec.SECP256R1()), SIGNER)],
        "signature": [cloud.machine.certify("leaf", ec_key(), SIGNER)],
        "expired": [cloud.machine.certify("leaf", cloud.key, SIGNER, ends=BEGINS + timedelta(days=1))],
    }
    for wanted, leaves in cases.items():
        for leaf in leaves:
            with pytest.raises(EvidenceRefused, match=f"^{wanted}"):
                verifier.verify({"document": cloud.document(certificate=der(leaf))}, AT)


def test_a_document_from_the_future_is_refused() -> None:
    assert verified(CLOUD.document(timestamp=int((AT + 59) * 1000))).made_at == AT + 59
    assert holding(timestamp=int((AT + 61) * 1000)) == "expired"
    assert cause(DOCUMENT, (NOW + timedelta(days=365)).timestamp()) == "expired"


def test_evidence_is_one_document() -> None:
    for shown in ({}, {"document": DOCUMENT, "more": b""}, {"report": DOCUMENT}):
        with pytest.raises(EvidenceRefused, match=r"^malformed"):
            VERIFIER.verify(shown, AT)


def test_a_folder_holds_awss_root(tmp_path: Path) -> None:
    (tmp_path / "aws-nitro.pem").write_bytes(pem(CLOUD.root.certificate))
    assert open_verifier(tmp_path).verify({"document": DOCUMENT}, AT) == verified()
    assert open_verifier(tmp_path / "absent").kind == "nitro"


def test_no_bit_of_a_document_may_change() -> None:
    shown = {"document": DOCUMENT}
    assert every_flip_is_refused(lambda some: VERIFIER.verify(some, AT), shown, sample=600) > 600
    every_cut_is_refused(lambda some: VERIFIER.verify(some, AT), shown)


def test_any_bytes_are_claims_or_refused() -> None:
    any_bytes_are_refused(lambda some: VERIFIER.verify(some, AT), {"document": DOCUMENT}, examples=40)


@settings(max_examples=60, database=None)
@given(st.binary(max_size=60), st.floats(0, 1), st.integers(0, 60))
def test_whatever_the_key_signs_is_claims_or_refused(some: bytes, where: float, length: int) -> None:
    payload = cbor2.dumps(CLOUD.fields(user_data=b"user"))
    at = int(where * len(payload))
    with suppress(EvidenceRefused):
        claims = verified(CLOUD.signed(payload[:at] + some + payload[at + length :]))
        assert Claims.model_validate(claims.model_dump()) == claims


def test_a_recorded_document_verifies_at_its_own_time_and_not_later() -> None:
    document = {"document": recorded("nitro/valid-attestation-doc.cbor")}
    claims = recorded_verifier().verify(document, RECORDED_AT)
    assert (claims.anchor, claims.made_at, claims.debug) == ("aws-nitro", RECORDED_AT, True)
    assert claims.attributes["module_id"] == "i-0918f6c55e3b61d89-enc018aa8b8e2285d13"
    assert claims.measurements["pcr3"].startswith("4a9329d69c836267")
    with pytest.raises(EvidenceRefused, match=r"^expired"):
        recorded_verifier().verify(document, RECORDED_AT + 86_400)


def test_no_bit_of_a_recorded_document_may_change() -> None:
    verifier, shown = recorded_verifier(), {"document": recorded("nitro/valid-attestation-doc.cbor")}
    assert every_flip_is_refused(lambda some: verifier.verify(some, RECORDED_AT), shown, sample=200) > 200
