"""Signatures of requests: the standard's own base, and what does not hold."""

import hashlib
import re
from base64 import b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as some

from adapters.http.signing import (
    COVERED,
    RequestSigner,
    SignatureVerifier,
    SignedRequest,
    read_content_digest,
    write_content_digest,
)
from controlplane.capabilities.refusals import Refused
from controlplane.jose.keys import DeviceKey, load_public

URL = "https://aggregator.example/v1/rounds/run-1/updates?examples=10"
KEY = DeviceKey.generate()
NOW = 1_800_000_000.0


def signed(now: float = NOW, key: DeviceKey = KEY) -> dict[str, str]:
    headers = {
        "Authorization": "DPoP eyJ.a.b",
        "Content-Digest": write_content_digest(hashlib.sha256(b"x").digest()),
        "Content-Type": "application/vnd.safetensors",
    }
    return RequestSigner(key, lambda: now).sign("POST", URL, headers)


def verdict(headers: Any, now: float = NOW, method: str = "POST", url: str = URL) -> Refused | None:
    """Why a request does not hold; the key that is found is this one, whichever is asked for."""
    found = SignatureVerifier(lambda: now).verify(SignedRequest(method, url, headers), lambda _name: KEY.public)
    return found if isinstance(found, Refused) else None


def test_the_signature_is_over_the_base_that_the_standard_describes() -> None:
    headers = signed()
    params = headers["Signature-Input"].removeprefix("ztfm=")
    base = "\n".join(
        [
            '"@method": POST',
            f'"@target-uri": {URL}',
            f'"authorization": {headers["Authorization"]}',
            f'"content-digest": {headers["Content-Digest"]}',
            f'"content-type": {headers["Content-Type"]}',
            f'"@signature-params": {params}',
        ]
    )
    raw = b64decode(headers["Signature"].removeprefix("ztfm=:").removesuffix(":"))
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    load_public(KEY.public).verify(der, base.encode(), ECDSA(hashes.SHA256()))
    assert params.startswith("(" + " ".join(f'"{name}"' for name in COVERED) + ")")


def test_a_signature_holds_once() -> None:
    verifier, request = SignatureVerifier(lambda: NOW), SignedRequest("POST", URL, signed())
    assert verifier.verify(request, lambda _name: KEY.public) == KEY.thumbprint
    again = verifier.verify(request, lambda _name: KEY.public)
    assert isinstance(again, Refused)
    assert again.cause == "proof_replayed"


@pytest.mark.parametrize(("away", "holds"), [(-6.0, False), (-4.0, True), (60.0, True), (66.0, False)])
def test_a_signature_holds_for_a_minute(away: float, holds: bool) -> None:
    found = verdict(signed(), now=NOW + away)
    assert (found is None) == holds
    assert found is None or found.cause == "proof_stale"


@pytest.mark.parametrize("name", ["Authorization", "Content-Digest", "Content-Type", "Signature"])
def test_whatever_is_covered_cannot_be_changed(name: str) -> None:
    headers = signed()
    changed = headers[name].replace("a", "b").replace("A", "B").replace("e", "f")
    found = verdict({**headers, name: changed})
    assert found is not None
    assert found.cause == "proof_bad_signature"


def test_neither_method_nor_url_nor_key_can_be_changed() -> None:
    assert verdict(signed(), method="PUT") is not None
    assert verdict(signed(), url=URL + "0") is not None
    assert verdict(signed(key=DeviceKey.generate())) is not None


@pytest.mark.parametrize("left_out", [";created=[0-9]+", ';nonce="[^"]*"', ';keyid="[^"]*"'])
def test_without_time_nonce_or_key_nothing_holds(left_out: str) -> None:
    headers = signed()
    headers["Signature-Input"] = re.sub(left_out, "", headers["Signature-Input"])
    assert verdict(headers) is not None


def test_two_signatures_are_not_chosen_between() -> None:
    headers, more = signed(), signed()
    both = {
        **headers,
        "Signature-Input": f"{headers['Signature-Input']}, {more['Signature-Input'].replace('ztfm', 'more')}",
        "Signature": f"{headers['Signature']}, {more['Signature'].replace('ztfm', 'more')}",
    }
    assert verdict(both) is not None


@settings(max_examples=50)
@given(some.text(max_size=80), some.text(max_size=80))
def test_whatever_comes_is_refused_and_raises_nothing(given_input: str, signature: str) -> None:
    assert isinstance(verdict({**signed(), "Signature-Input": given_input, "Signature": signature}), Refused)


@given(some.binary(max_size=40))
def test_a_content_digest_comes_back_or_is_none(content: bytes) -> None:
    sha256 = hashlib.sha256(content).digest()
    assert read_content_digest([write_content_digest(sha256)]) == sha256
    assert read_content_digest(["sha-512=:AAAA:", write_content_digest(sha256)]) == sha256
    assert read_content_digest([write_content_digest(content)]) in (None, content)


@given(some.text(max_size=80))
def test_a_content_digest_of_any_text_raises_nothing(text: str) -> None:
    found = read_content_digest([text])
    assert found is None or len(found) == 32
