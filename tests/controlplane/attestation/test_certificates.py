"""A certificate, and a file of them, has one spelling."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.attestation.certificates import (
    MAX_BYTES,
    MAX_FILE,
    RootsInvalid,
    body_of,
    key_on_p384,
    load_folder,
    read_certificate,
    read_file,
    read_pem,
    serial_of,
    skip,
)
from controlplane.attestation.interface import EvidenceRefused
from tests.controlplane.attestation.making_chains import Authority, authority, der, own, pem, resigned, rsa_key

ROOT = Authority("root")
CHIPS = Authority("chips", key=rsa_key(0), extensions=authority(), serial=0)
TEXT = pem(ROOT.certificate)


def refused(data: bytes) -> str:
    with pytest.raises(EvidenceRefused) as found:
        read_certificate(data, "the leaf")
    return str(found.value)


def test_certificates_are_read_whatever_their_serial_number() -> None:
    for one in (ROOT.certificate, CHIPS.certificate):
        assert read_certificate(der(one), "the leaf") == one
    assert serial_of(CHIPS.certificate) == 0


def test_a_second_spelling_of_a_certificate_is_refused() -> None:
    # A signature that ends with a zero bit could be said to be a bit shorter.
    one = next(made for made in (Authority("root").certificate for _ in range(64)) if made.signature[-1] % 2 == 0)
    good = der(one)
    bits = len(good) - len(one.signature) - 1
    assert good[bits] == 0
    for bad in (good + b"\0", good[:-1], b"", good[:bits] + b"\x01" + good[bits + 1 :], b"\x30\x83\0" + good[2:]):
        assert refused(bad) == "malformed: the leaf is no X.509 certificate in canonical DER"


def test_what_is_signed_and_what_is_beside_it_name_one_algorithm() -> None:
    sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    assert "canonical" in refused(resigned(ROOT.certificate.tbs_certificate_bytes, ROOT.key, list, sha256))
    same = read_certificate(resigned(ROOT.certificate.tbs_certificate_bytes, ROOT.key, list), "it")
    assert same.subject == ROOT.name


def test_a_certificate_has_a_largest_size() -> None:
    for size, is_read in ((7000, True), (9000, False)):
        large = der(Authority("large", extensions=[own("1.2.3", bytes(size))]).certificate)
        assert is_read == (len(large) <= MAX_BYTES)
        assert read_certificate(large, "it") if is_read else refused(large)


def test_a_certificate_of_the_first_version_is_read_too() -> None:
    first = resigned(ROOT.certificate.tbs_certificate_bytes, ROOT.key, lambda parts: parts[1:-1])
    assert read_certificate(first, "the root").version is x509.Version.v1
    assert "canonical" in refused(first[:-1] + bytes([first[-1] ^ 1]) + b"\0")


def test_a_key_that_nobody_knows_is_none_on_p384() -> None:
    def strange(parts: list[bytes]) -> list[bytes]:
        known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209")
        return [part.replace(known, unknown) for part in parts]

    odd = read_certificate(resigned(ROOT.certificate.tbs_certificate_bytes, ROOT.key, strange), "the leaf")
    for one in (odd, CHIPS.certificate, Authority("p256", key=ec.generate_private_key(ec.SECP256R1())).certificate):
        with pytest.raises(EvidenceRefused, match=r"^unsupported: the leaf is not of a key on P-384$"):
            key_on_p384(one, "the leaf")
    assert key_on_p384(ROOT.certificate, "the root") == ROOT.key.public_key()


def test_lengths_are_as_short_as_they_can_be_and_fit() -> None:
    assert (skip(b"\x04\x01a", 0), skip(b"\x04\x81\x80" + bytes(128), 0), body_of(b"\x04\x01a", 0)) == (3, 131, 2)
    for bad in (
        b"\x04",
        b"\x04\x80" + bytes(200),
        b"\x04\x02a",
        b"\x04\x81\x01a",
        b"\x04\x82\0\x80" + bytes(128),
        b"\x04\xff",
        b"",
    ):
        with pytest.raises(ValueError, match=r"value|length|short"):
            skip(bad, 0)


def test_a_file_has_certificates_and_nothing_else() -> None:
    assert read_pem(TEXT * 3, "roots", 3) == [ROOT.certificate] * 3
    assert read_pem(TEXT.replace(b"\n", b"\r\n"), "roots", 1) == [ROOT.certificate]
    body = TEXT.split(b"\n")[1]
    spellings = [
        b"",
        TEXT * 4,
        b"# root\n" + TEXT,
        TEXT + b"\n",
        TEXT + b"x",
        TEXT.replace(body, body[:32] + b"\n" + body[32:]),
        TEXT.replace(body + b"\n", body),
        TEXT.replace(b"-----BEGIN", b"----BEGIN"),
        TEXT.replace(b"-----END", b"----END"),
        TEXT[:-8],
        "-----BEGIN CERTIFICATE-----\n\u00e9\n-----END CERTIFICATE-----\n".encode(),
    ]
    for bad in spellings:
        with pytest.raises(EvidenceRefused, match=r"^malformed: .*roots"):
            read_pem(bad, "roots", 3)


def test_bits_that_base64_leaves_over_are_zero() -> None:
    filled = next(made for made in (Authority("root").certificate for _ in range(64)) if len(der(made)) % 3)
    text = pem(filled)
    last = text.split(b"\n")[-3]
    assert read_pem(text, "roots", 1) == [filled]
    assert last.endswith(b"=")
    at = len(last.rstrip(b"=")) - 1
    other = last[:at] + bytes([last[at] + 1]) + last[at + 1 :]
    with pytest.raises(EvidenceRefused):
        read_pem(text.replace(last, other), "roots", 1)


def test_a_folder_says_which_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_bytes(b"nothing")
    with pytest.raises(RootsInvalid, match=r"bad\.pem is not 1 to 4 certificates in PEM.*Put the roots alone there$"):
        load_folder(tmp_path, 4)
    (tmp_path / "bad.pem").write_bytes(b"0" * (MAX_FILE + 1))
    with pytest.raises(RootsInvalid, match=r"bad\.pem has more than 1048576 bytes$"):
        load_folder(tmp_path, 4)
    with pytest.raises(RootsInvalid, match="cannot be read"):
        read_file(tmp_path)
    with pytest.raises(RootsInvalid, match="cannot be read"):
        load_folder(tmp_path / "bad.pem", 4)
