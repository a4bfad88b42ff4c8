"""Credentials: opened by the TPM that has both keys, and by nobody else."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from controlplane.attestation.tpm.credentials import cfb, derive, derive_shared, make_credential
from controlplane.attestation.tpm.publics import parse_public
from tests.controlplane.attestation.tpm.making import Emulated, PrivateKey, elliptic

KEYS: dict[str, PrivateKey] = {
    "rsa2048": rsa.generate_private_key(65537, 2048),
    "p256": elliptic(),
    "p384": elliptic(ec.SECP384R1()),
}


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("named", ["sha256", "sha384"])
def test_the_tpm_that_holds_both_keys_opens_it_and_no_other(kind: str, named: str) -> None:
    tpm = Emulated(KEYS[kind], elliptic(), named)
    made = make_credential(parse_public(tpm.ek_public, "the key"), tpm.ak_name, b"s" * 32)
    assert tpm.activate(made.blob, made.secret) == b"s" * 32
    stranger = Emulated(KEYS[kind], elliptic(), named)
    with pytest.raises(ValueError, match="another key"):
        stranger.activate(made.blob, made.secret)


def test_two_credentials_have_nothing_in_common() -> None:
    tpm = Emulated(KEYS["p256"], elliptic())
    public = parse_public(tpm.ek_public, "the key")
    first, second = (make_credential(public, tpm.ak_name, b"s" * 32) for _ in range(2))
    assert first.secret != second.secret
    assert first.blob[2:] != second.blob[2:]


def test_a_secret_that_does_not_fit_is_an_error() -> None:
    tpm = Emulated(KEYS["p256"], elliptic())
    with pytest.raises(ValueError, match="at most 32 bytes"):
        make_credential(parse_public(tpm.ek_public, "the key"), tpm.ak_name, bytes(33))
    with pytest.raises(ValueError, match="protects"):
        make_credential(parse_public(tpm.ak_public, "the key"), tpm.ak_name, bytes(32))


def test_the_functions_give_what_the_standards_say() -> None:
    # SP 800-38A, F.3.13: CFB128-AES128; with its vector of zero the first block is AES of zero, added to the text.
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    assert cfb(key, bytes(16)).hex() == "7df76b0c1ab899b33e42f047b91b546f"
    # One turn of SP 800-108 and SP 800-56A, written out.
    text = b"\0\0\0\1STORAGE\0context\0\0\1\0"
    block = hashlib.sha256(bytes(b ^ 0x5C for b in b"k".ljust(64, b"\0")))
    block.update(hashlib.sha256(bytes(b ^ 0x36 for b in b"k".ljust(64, b"\0")) + text).digest())
    assert derive("sha256", b"k", b"STORAGE", b"context", 256) == block.digest()
    expected = hashlib.sha256(b"\0\0\0\1zIDENTITY\0uv").digest() + hashlib.sha256(b"\0\0\0\2zIDENTITY\0uv").digest()
    assert derive_shared("sha256", b"z", b"IDENTITY\0", b"uv", 384) == expected[:48]
