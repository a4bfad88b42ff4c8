"""Quotes of TPMs: recorded ones, and made ones that differ from them in one thing."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.quote import check_pcrs, parse_quote, split_pcrs, verify_signature
from tests.controlplane.attestation.tpm.making import attest, elliptic, registers, sign

VECTORS = Path(__file__).parents[5] / "shared" / "vectors"
SHORT_RSA = rsa.generate_private_key(65537, 2048)

recorded = pytest.mark.skipif(not VECTORS.is_dir(), reason="the recorded evidence is not beside this project")


def refused(cause: str) -> Any:
    return pytest.raises(EvidenceRefused, match=f"^{cause}: ")


@recorded
def test_a_recorded_quote_verifies_and_is_of_its_registers() -> None:
    shown = json.loads((VECTORS / "tpm" / "tpm_evidence.json").read_text())
    message, signature = (base64.b64decode(shown["tpm_quote"][name]) for name in ("message", "signature"))
    key = load_der_public_key(base64.b64decode(shown["ak_public"]))
    assert isinstance(key, rsa.RSAPublicKey)
    quote = parse_quote(message)
    assert verify_signature(key, signature, message) == "sha256"
    values = {pcr: bytes.fromhex(value) for pcr, value in enumerate(shown["tpm_quote"]["pcrs"])}
    check_pcrs(quote, values, "sha256")
    assert (quote.bank, len(quote.pcrs), len(quote.extra_data), quote.resets) == ("sha256", 24, 64, 2)
    with refused("signature"):
        verify_signature(SHORT_RSA.public_key(), signature, message)
    with refused("unbound"):
        check_pcrs(quote, values | {7: bytes(31) + b"\1"}, "sha256")


@pytest.mark.parametrize("bank", ["sha256", "sha384"])
@pytest.mark.parametrize("hashed", ["sha256", "sha384"])
@pytest.mark.parametrize("kind", ["rsassa", "rsapss", "p256", "p384"])
def test_each_scheme_and_hash_is_verified(kind: str, hashed: str, bank: str) -> None:
    key = {"p256": elliptic(), "p384": elliptic(ec.SECP384R1())}.get(kind, SHORT_RSA)
    values = registers(24, bank)
    message = attest(b"binding", values, bank=bank, hashed=hashed)
    signature = sign(key, message, hashed=hashed, pss=kind == "rsapss")
    found = verify_signature(key.public_key(), signature, message)
    assert found == hashed
    check_pcrs(parse_quote(message), values, found)
    with refused("unbound"):
        check_pcrs(parse_quote(message), values, "sha384" if hashed == "sha256" else "sha256")


def test_a_signature_without_anything_around_it_is_pkcs1_with_sha256() -> None:
    message = attest(b"binding", registers())
    assert verify_signature(SHORT_RSA.public_key(), sign(SHORT_RSA, message)[6:], message) == "sha256"
    with refused("signature"):
        verify_signature(SHORT_RSA.public_key(), sign(SHORT_RSA, message, hashed="sha384")[6:], message)


def test_a_signature_of_another_key_kind_scheme_or_hash_is_refused() -> None:
    message, key = attest(b"binding", registers()), elliptic()
    good = sign(key, message)
    with refused("signature"):
        verify_signature(elliptic().public_key(), good, message)
    with refused("signature"):
        verify_signature(SHORT_RSA.public_key(), good, message)
    with refused("signature"):
        verify_signature(key.public_key(), b"\0\x14" + good[2:4] + sign(SHORT_RSA, message)[4:], message)
    with refused("unsupported"):
        verify_signature(key.public_key(), b"\0\x1a" + good[2:], message)
    with refused("unsupported"):
        verify_signature(key.public_key(), good[:2] + b"\0\x04" + good[4:], message)
    for bad in (good[:-1], good + b"\0", b"", good[:4] + b"\x01\x00" + bytes(256)):
        with refused("malformed"):
            verify_signature(key.public_key(), bad, message)


def test_what_the_tpm_signed_has_to_be_a_quote_and_nothing_after_it() -> None:
    message = attest(b"binding", registers())
    for bad in (
        message[:-1],
        message + b"\0",
        b"",
        b"\xff" * 2000,
        b"\0" + message[1:],
        message[:4] + b"\x80\x17" + message[6:],
    ):
        with refused("malformed"):
            parse_quote(bad)


def test_registers_of_sha1_and_of_none_are_refused() -> None:
    with refused("unsupported"):
        parse_quote(attest(b"binding", registers(), bank="sha1"))
    with refused("malformed"):
        parse_quote(attest(b"binding", {}))
    two = attest(b"binding", registers())
    with refused("unsupported"):
        parse_quote(two.replace(b"\0\0\0\1\0\x0b\3", b"\0\0\0\2\0\x0b\3"))


def test_other_registers_than_the_quoted_are_refused() -> None:
    quote = parse_quote(attest(b"binding", registers()))
    values = registers()
    for others in ({}, registers(7), registers(9), {pcr + 1: value for pcr, value in values.items()}):
        with refused("unbound"):
            check_pcrs(quote, others, "sha256")
    with refused("malformed"):
        check_pcrs(quote, values | {0: bytes(31)}, "sha256")
    with refused("unbound"):
        check_pcrs(quote, values | {0: values[1], 1: values[0]}, "sha256")


def test_joined_values_are_split_by_the_quote_alone() -> None:
    values = registers()
    quote = parse_quote(attest(b"binding", {pcr: values[pcr] for pcr in (1, 4, 7)}))
    assert split_pcrs(quote, values[1] + values[4] + values[7]) == {pcr: values[pcr] for pcr in (1, 4, 7)}
    for bad in (b"", values[1], bytes(97)):
        with refused("malformed"):
            split_pcrs(quote, bad)
