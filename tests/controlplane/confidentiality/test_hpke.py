import copy
import pickle
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import ENC_BYTES, PRIVATE_BYTES, PUBLIC_BYTES, PrivateReleaseKey, seal
from controlplane.contracts.attestation import ReleaseKey, SealingSuite
from tests.controlplane.confidentiality import byhand

SUITES: tuple[SealingSuite, ...] = ("x25519", "mlkem768-x25519")
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
"""The points of X25519 with which everybody shares the same secret (RFC 7748 section 6.1)."""

EPHEMERAL = bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736")
RECIPIENT = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
INFO = b"Ode on a Grecian Urn"
PLAINTEXT = b"Beauty is truth, truth beauty"


def raw(key: ReleaseKey) -> bytes:
    return urlsafe_b64decode(key.key + "=" * (-len(key.key) % 4))


def named(suite: SealingSuite, key: bytes) -> ReleaseKey:
    return ReleaseKey(suite=suite, key=urlsafe_b64encode(key).rstrip(b"=").decode())


def test_the_oracle_seals_as_the_appendix_of_the_standard_does() -> None:
    # RFC 9180 appendix A.1.1, the encryption with sequence number 0.
    recipient = X25519PrivateKey.from_private_bytes(RECIPIENT).public_key().public_bytes_raw()
    sealed = byhand.seal(EPHEMERAL, recipient, INFO, b"Count-0", PLAINTEXT, 16)
    assert sealed.enc.hex() == "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    assert sealed.ciphertext.hex() == (
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    )


def test_what_the_oracle_seals_opens_here() -> None:
    key = PrivateReleaseKey("x25519", RECIPIENT)
    sealed = byhand.seal(EPHEMERAL, raw(key.public), INFO, b"", PLAINTEXT, 32)
    assert key.open(sealed.enc, sealed.ciphertext, INFO) == PLAINTEXT


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_sealed_opens_with_its_key_and_for_its_info_alone(suite: SealingSuite) -> None:
    key = PrivateReleaseKey.generate(suite)
    enc, ciphertext = seal(key.public, b"secret", b"info")
    assert (len(raw(key.public)), len(enc), len(ciphertext)) == (PUBLIC_BYTES[suite], ENC_BYTES[suite], 6 + 16)
    assert key.open(enc, ciphertext, b"info") == b"secret"
    for other, info in ((key, b"inf"), (key, b""), (PrivateReleaseKey.generate(suite), b"info")):
        with pytest.raises(SealRefused):
            other.open(enc, ciphertext, info)


@pytest.mark.parametrize("suite", SUITES)
def test_no_flipped_bit_opens(suite: SealingSuite) -> None:
    key = PrivateReleaseKey.generate(suite)
    enc, ciphertext = seal(key.public, b"secret", b"info")
    whole = enc + ciphertext
    bits = range(len(whole) * 8) if suite == "x25519" else range(0, len(whole) * 8, 37)
    for bit in bits:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        if suite == "x25519" and bit == 255:
            # X25519 takes no notice of this bit, but the encapsulation is part of what the key is derived from.
            assert changed[31] != whole[31]
        with pytest.raises(SealRefused):
            key.open(bytes(changed[: len(enc)]), bytes(changed[len(enc) :]), b"info")


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_cut_or_longer_does_not_open(suite: SealingSuite) -> None:
    key = PrivateReleaseKey.generate(suite)
    enc, ciphertext = seal(key.public, b"secret", b"info")
    for parts in ((enc[:-1], ciphertext), (enc + b"\0", ciphertext), (enc, ciphertext[:-1]), (b"", b""), (enc, b"")):
        with pytest.raises(SealRefused):
            key.open(*parts, b"info")


@pytest.mark.parametrize("point", LOW_ORDER)
def test_nothing_is_sealed_to_a_key_that_everybody_shares_a_secret_with(point: str) -> None:
    bad = bytes.fromhex(point)
    sound = raw(PrivateReleaseKey.generate("mlkem768-x25519").public)
    for key in (named("x25519", bad), named("mlkem768-x25519", sound[:-32] + bad)):
        with pytest.raises(SealRefused):
            seal(key, b"secret", b"info")


@pytest.mark.parametrize("point", LOW_ORDER)
def test_nothing_opens_from_such_an_encapsulation(point: str) -> None:
    key = PrivateReleaseKey.generate("x25519")
    with pytest.raises(SealRefused):
        key.open(bytes.fromhex(point), bytes(22), b"info")


def test_nothing_is_sealed_to_what_is_no_key_of_its_suite() -> None:
    for key in (
        named("x25519", bytes(range(33))),
        named("mlkem768-x25519", bytes(range(32)) * 2),
        named("mlkem768-x25519", b"\xff" * 1184 + raw(PrivateReleaseKey.generate("x25519").public)),
        ReleaseKey(suite="x25519", key="A" * 45),
    ):
        with pytest.raises(SealRefused):
            seal(key, b"secret", b"info")


@pytest.mark.parametrize("suite", SUITES)
def test_a_private_key_is_made_again_from_its_bytes_and_shows_nothing(suite: SealingSuite) -> None:
    kept = bytes(range(PRIVATE_BYTES[suite]))
    key, again = PrivateReleaseKey(suite, kept), PrivateReleaseKey(suite, kept)
    assert key.public == again.public
    assert again.open(*seal(key.public, b"secret", b""), b"") == b"secret"
    assert repr(key) == f"PrivateReleaseKey({suite!r})"
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)
    with pytest.raises(ValueError, match="bytes"):
        PrivateReleaseKey(suite, kept[:-1])
