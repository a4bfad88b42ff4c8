"""A device is let in by the certificate of its factory: exactly that chain, for exactly its key, no bit flipped."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.facts.enrolment import CertificateCause, CertificateFact
from controlplane.identity.credentials.manufacturers import (
    CAUSES,
    Manufacturers,
    ManufacturersInvalid,
    load_manufacturers,
)
from controlplane.jose.keys import DeviceKey, load_public
from tests.controlplane.identity.credentials.factory import FOREVER, NOW, Authority, pem, usage

NOW_SECONDS = NOW.timestamp()
KEY = DeviceKey.generate()
ROOT = Authority("Example Devices root")
LINE = Authority("Example Devices line 7", ROOT, length=0)
OTHER = Authority("Others root")
MADE = LINE.device(KEY)
CHAIN = pem(MADE, LINE.certificate)
MAKERS = Manufacturers({"example-maker": [ROOT.certificate], "others": [OTHER.certificate]})


def examined(*chain: str, key: DeviceKey = KEY, now: float = NOW_SECONDS) -> CertificateFact:
    found = MAKERS.examine(chain, key.public, now)
    assert found.words == (CAUSES[found.fact.cause] if found.fact.cause else "")
    assert found.fact.valid == found.fact.key_bound == (found.fact.cause == "")
    return found.fact


def cause(*chain: str, **options: Any) -> str:
    return examined(*chain, **options).cause


def below(extensions: list[tuple[x509.ExtensionType, bool]], **change: Any) -> str:
    return cause(*pem(LINE.device(KEY, extensions=extensions, **change), LINE.certificate))


def test_a_factorys_certificate_lets_its_device_in_for_ever() -> None:
    assert examined(*CHAIN) == CertificateFact(
        valid=True,
        cause="",
        manufacturer="example-maker",
        subject="2.5.4.5=0042,CN=hub-3",
        serial="2a",
        device="0042",
        key_bound=True,
        expires_at=FOREVER.timestamp(),
    )
    assert examined(*CHAIN, now=NOW_SECONDS + 3600 * 24 * 3000).valid


def test_der_in_base64_will_do_and_so_will_a_root_that_is_sent_along() -> None:
    der = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in (MADE, LINE.certificate)]
    assert examined(*der).valid
    assert examined(*CHAIN, *pem(ROOT.certificate)).valid
    assert examined(*pem(OTHER.device(KEY))).manufacturer == "others"


def test_a_chain_leads_to_a_root_that_is_known() -> None:
    stranger = Authority("Example Devices root")
    assert cause(*pem(stranger.device(KEY))) == "untrusted"
    assert cause(*pem(stranger.device(KEY), stranger.certificate)) == "untrusted"
    assert cause(CHAIN[0]) == "untrusted"
    assert Manufacturers({}).examine(CHAIN, KEY.public, NOW_SECONDS).fact.cause == "untrusted"


def test_a_chain_is_exactly_that() -> None:
    assert cause(*CHAIN, *pem(OTHER.certificate)) == "unordered"
    assert cause(CHAIN[0], *pem(ROOT.certificate), CHAIN[1]) == "unordered"
    assert cause(CHAIN[0], CHAIN[1], CHAIN[1]) == "unordered"
    assert cause(*[CHAIN[0]] * 6) == "too_long"
    assert cause() == "malformed"


def test_a_certificate_is_for_one_key() -> None:
    assert cause(*CHAIN, key=DeviceKey.generate()) == "wrong_key"


def test_a_certificate_has_its_time() -> None:
    short = pem(LINE.device(KEY, ends=NOW + timedelta(days=1)), LINE.certificate)
    assert examined(*short).valid
    assert cause(*short, now=NOW_SECONDS + 86_401) == "expired"
    assert cause(*short, now=NOW_SECONDS - 366 * 86_400) == "not_yet_valid"
    old = Authority("old line", ROOT, ends=NOW - timedelta(seconds=1))
    assert cause(*pem(old.device(KEY), old.certificate)) == "untrusted"


def test_a_device_is_no_authority_and_an_authority_no_longer_than_it_may_be() -> None:
    assert below([(x509.BasicConstraints(ca=False, path_length=None), True)]) == ""
    assert below([(x509.BasicConstraints(ca=True, path_length=None), True)]) == "untrusted"
    beyond = Authority("below the last", LINE)
    assert cause(*pem(beyond.device(KEY), beyond.certificate, LINE.certificate)) == "untrusted"
    no_authority = Authority("no authority", ROOT, extensions=[(usage(digital_signature=True), True)])
    assert cause(*pem(no_authority.device(KEY), no_authority.certificate)) == "untrusted"


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ([], ""),
        ([(usage(digital_signature=True), False)], ""),
        ([(usage(key_encipherment=True), True)], "untrusted"),
        ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)], ""),
        ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)], ""),
        ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)], "untrusted"),
        ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), True)], "untrusted"),
        ([(x509.SubjectAlternativeName([x509.DNSName("hub-3.example")]), False)], ""),
        ([(x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), False)], ""),
        ([(x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True)], "untrusted"),
    ],
)
def test_what_a_certificate_says_it_is_for_must_fit(
    extensions: list[tuple[x509.ExtensionType, bool]], expected: str
) -> None:
    assert below(extensions) == expected


def test_a_subject_can_be_read() -> None:
    assert examined(*pem(LINE.device(KEY, number=""), LINE.certificate)).device == ""
    assert cause(*pem(LINE.device(KEY, number="x" * 64), LINE.certificate)) == ""
    assert cause(*pem(LINE.device(KEY, name="é" * 32), LINE.certificate)) == ""
    assert cause(*pem(LINE.device(KEY, name="a\nb"), LINE.certificate)) == "subject_unreadable"
    assert cause(*pem(LINE.device(KEY, number="x" * 65), LINE.certificate)) == "subject_unreadable"


@pytest.mark.parametrize("number", ["a\0b", "\x1f", "a\x7f", "é"])
def test_a_devices_own_number_can_be_read_too(number: str) -> None:
    # The subject as a text escapes some of these, so that nothing shows there.
    named = x509.NameAttribute(NameOID.SERIAL_NUMBER, number, _type=_ASN1Type.UTF8String)
    made = LINE.sign(x509.Name([named]), load_public(KEY.public), [], ends=FOREVER)
    assert cause(*pem(made, LINE.certificate)) == "subject_unreadable"


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())])
def test_a_key_of_another_kind_is_nobodys(key: Any) -> None:
    made = LINE.sign(MADE.subject, key.public_key(), [])
    assert cause(*pem(made, LINE.certificate)) == "wrong_key"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        CHAIN[0].replace("\n", ""),
        CHAIN[0] + "\n",
        " " + CHAIN[0],
        CHAIN[0] * 2,
        CHAIN[0].replace("CERTIFICATE", "X509 CERTIFICATE"),
        CHAIN[0].replace("BEGIN CERTIFICATE-----\n", "BEGIN CERTIFICATE-----\nProc-Type: 4\n"),
        base64.b64encode(MADE.public_bytes(Encoding.DER) + b"\x00").decode(),
        base64.b64encode(MADE.public_bytes(Encoding.DER)).decode() + "\n",
        base64.urlsafe_b64encode(MADE.public_bytes(Encoding.DER)[:-1] + b"\xff").decode(),
        "é",
    ],
)
def test_a_certificate_is_written_in_one_way(text: str) -> None:
    assert cause(text, CHAIN[1]) == "malformed"


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1), st.integers(0, 10_000))
def test_no_bit_of_a_chain_as_text_can_be_another(which: int, place: int) -> None:
    raw = bytearray(CHAIN[which].encode())
    bit = place % (len(raw) * 8)
    raw[bit // 8] ^= 1 << bit % 8
    chain = [*CHAIN]
    chain[which] = raw.decode("latin-1")
    assert not examined(*chain).valid


def test_a_signature_is_a_whole_number_of_bytes() -> None:
    even = next(made for made in iter(lambda: LINE.device(KEY), None) if made.signature[-1] % 2 == 0)
    der = bytearray(even.public_bytes(Encoding.DER))
    assert examined(base64.b64encode(der).decode(), CHAIN[1]).valid
    der[-len(even.signature) - 1] = 1
    assert cause(base64.b64encode(der).decode(), CHAIN[1]) == "malformed"


@pytest.mark.parametrize("which", [0, 1])
def test_no_bit_of_a_chain_in_der_can_be_another(which: int) -> None:
    chain = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in (MADE, LINE.certificate)]
    whole = base64.b64decode(chain[which])
    for bit in range(len(whole) * 8):
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        changed = [*chain]
        changed[which] = base64.b64encode(raw).decode()
        assert not examined(*changed).valid, bit


def test_a_folder_holds_the_roots_of_each_manufacturer(tmp_path: Path) -> None:
    (tmp_path / "example-maker.pem").write_text("".join(pem(OTHER.certificate, ROOT.certificate)))
    (tmp_path / "README.txt").write_text("not looked at")
    assert load_manufacturers(tmp_path).examine(CHAIN, KEY.public, NOW_SECONDS).fact.manufacturer == "example-maker"
    assert load_manufacturers(None).examine(CHAIN, KEY.public, NOW_SECONDS).fact.cause == "untrusted"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"Maker.pem": CHAIN[0]}, "name is a-z"),
        ({"maker.pem": "nothing"}, "no certificates in PEM"),
        ({"maker.pem": "".join(pem(ROOT.certificate)) * 17}, "more than 16"),
        ({"a.pem": "".join(pem(ROOT.certificate)), "b.pem": "".join(pem(ROOT.certificate))}, "hold one root"),
        ({f"m{number}.pem": CHAIN[0] for number in range(257)}, "more than 256"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path, files: dict[str, str], why: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ManufacturersInvalid, match=why):
        load_manufacturers(tmp_path)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ManufacturersInvalid, match="ZTFM_MANUFACTURERS_DIR"):
        load_manufacturers(tmp_path / "missing")


def test_every_cause_has_its_words() -> None:
    assert set(CAUSES) == set(get_args(CertificateCause))
