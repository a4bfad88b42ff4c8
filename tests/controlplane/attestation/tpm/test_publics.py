"""Keys as a TPM describes them."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.publics import parse_public
from tests.controlplane.attestation.tpm.making import AK_ATTRIBUTES, EK_ATTRIBUTES, PrivateKey, elliptic, public, sized

KEYS: dict[str, PrivateKey] = {
    "rsa2048": rsa.generate_private_key(65537, 2048),
    "rsa3072": rsa.generate_private_key(65537, 3072),
    "p256": elliptic(),
    "p384": elliptic(ec.SECP384R1()),
}


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("named", ["sha256", "sha384"])
def test_a_key_is_read_and_named(kind: str, named: str) -> None:
    raw = public(KEYS[kind], AK_ATTRIBUTES, protects=False, named=named)
    for form in (raw, sized(raw)):
        found = parse_public(form, "the key")
        found.check_attests()
        assert found.key == KEYS[kind].public_key()
        assert found.name == raw[2:4] + hashlib.new(named, raw).digest()
        assert found.scheme_hash == "sha256"


@pytest.mark.parametrize(
    ("bit", "word"), [(1, "fixedTPM"), (4, "fixedParent"), (5, "sensitiveData"), (16, "restricted"), (18, "sign")]
)
def test_a_key_that_lacks_what_an_attestation_key_has_is_none(bit: int, word: str) -> None:
    found = parse_public(public(KEYS["p256"], AK_ATTRIBUTES & ~(1 << bit), protects=False), "the key")
    with pytest.raises(EvidenceRefused, match=f"untrusted: the attestation key is not {word}"):
        found.check_attests()


def test_a_key_that_signs_and_decrypts_is_neither() -> None:
    both = 1 << 17 | 1 << 18
    with pytest.raises(EvidenceRefused, match="may also decrypt"):
        parse_public(public(KEYS["p256"], AK_ATTRIBUTES | both, protects=False), "the key").check_attests()
    with pytest.raises(EvidenceRefused, match="may also sign"):
        parse_public(public(KEYS["p256"], EK_ATTRIBUTES | both, protects=True), "the key").check_endorses()


def test_an_endorsement_key_attests_nothing_and_an_attestation_key_endorses_nothing() -> None:
    endorses = parse_public(public(KEYS["rsa2048"], EK_ATTRIBUTES, protects=True), "the key")
    attests = parse_public(public(KEYS["rsa2048"], AK_ATTRIBUTES, protects=False), "the key")
    endorses.check_endorses()
    with pytest.raises(EvidenceRefused):
        endorses.check_attests()
    with pytest.raises(EvidenceRefused):
        attests.check_endorses()


def test_what_is_cut_goes_on_or_is_no_key_is_refused() -> None:
    raw = public(KEYS["p256"], AK_ATTRIBUTES, protects=False)
    off_curve = raw[:-1] + bytes([raw[-1] ^ 1])
    even = public(KEYS["rsa2048"], AK_ATTRIBUTES, protects=False)
    even = even[:-1] + bytes([even[-1] & 0xFE])
    for bad in (b"", raw[:-1], raw + b"\0", sized(raw)[:-1], sized(raw) + b"\0", bytes(4096), off_curve, even):
        with pytest.raises(EvidenceRefused, match=r"malformed|unsupported"):
            parse_public(bad, "the key")


@pytest.mark.parametrize(
    ("what", "at", "value"),
    [("type", 0, "0008"), ("hash", 2, "0004"), ("cipher", 10, "0013"), ("scheme", 12, "001a"), ("curve", 16, "0010")],
)
def test_what_is_not_understood_is_refused(what: str, at: int, value: str) -> None:
    raw = public(KEYS["p256"], AK_ATTRIBUTES, protects=False)
    changed = raw[:at] + bytes.fromhex(value) + raw[at + 2 :]
    with pytest.raises(EvidenceRefused, match=r"unsupported|malformed"):
        parse_public(changed, what)


def test_a_key_knows_its_names_in_the_endorsement_hierarchy() -> None:
    endorses = parse_public(public(KEYS["rsa2048"], EK_ATTRIBUTES, protects=True), "the key")
    attests = parse_public(public(KEYS["p256"], AK_ATTRIBUTES, protects=False), "the key")
    top = bytes.fromhex("4000000b")
    primary = b"\0\x0b" + hashlib.sha256(top + attests.name).digest()
    parent = b"\0\x0b" + hashlib.sha256(top + endorses.name).digest()
    below = b"\0\x0b" + hashlib.sha256(parent + attests.name).digest()
    assert attests.endorsed_names(None) == {primary}
    assert attests.endorsed_names(endorses.name) == {primary, below}
