"""AMD SEV-SNP: a report counts under the key that AMD certifies for its chip and firmware; no bit of it may change."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.certificates import RootsInvalid, read_certificate, read_pem
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.attestation.revocation import RevocationLists
from controlplane.attestation.snp.endorsement import check_endorsed, read_endorsement
from controlplane.attestation.snp.report import parse_report, verify_report
from controlplane.attestation.verifiers.snp import SnpVerifier, open_verifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_amd import (
    ARC,
    CHIP,
    REPORT_DATA,
    TCB,
    TURIN_TCB,
    Amd,
    Chip,
    integer,
    text,
)
from tests.controlplane.attestation.making_chains import AT, own, pem
from tests.controlplane.attestation.recorded import recorded

AMD = Amd()
MILAN = Chip(AMD)
PROVIDED = Chip(AMD, provider="CN=cc-eu-north-9.example.com")
VERIFIER = SnpVerifier(AMD.anchors)
SHOWN = {"report": MILAN.report(3), "certificate": MILAN.certificate()}
RECORDED_AT = 1_750_000_000.0


def verified(chip: Chip = MILAN, verifier: SnpVerifier = VERIFIER, **change: Any) -> Claims:
    shown = {"report": chip.report(), "certificate": chip.certificate()}
    return verifier.verify({**shown, **change}, AT)


def cause(chip: Chip = MILAN, **change: Any) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(chip, **change)
    return refused.value.cause


def patched(at: int, part: bytes, version: int = 2, chip: Chip = MILAN) -> str:
    return cause(chip, report=chip.report(version, {at: part}))


def milan() -> Anchors:
    names = ("milan", "genoa")
    return Anchors({f"amd-{name}": read_pem(recorded(f"snp/{name}_ask_ark_asvk.pem"), name, 8) for name in names})


def test_a_report_says_what_the_machine_is() -> None:
    verifier: Verifier = VERIFIER
    claims = verifier.verify({"report": MILAN.report(3), "certificate": MILAN.certificate()}, AT)
    assert (claims.kind, claims.anchor, claims.status) == ("snp", "amd-milan", "unstated")
    assert (claims.platform, claims.bound, claims.debug) == (CHIP.hex(), REPORT_DATA.hex(), False)
    assert claims.measurements == {"measurement": b"m".hex() * 48, "host_data": b"h".hex() * 32}
    assert claims.versions == {"report": 3, "guest_svn": 7} | {
        f"{kind}_{part}": number
        for kind in ("tcb", "current_tcb", "committed_tcb", "launch_tcb")
        for part, number in TCB.items()
    }
    assert claims.attributes == {
        "product": "milan",
        "signing_key": "vcek",
        "chip_id": "shown",
        "revocation": "unchecked",
        "family_id": b"f".hex() * 16,
        "image_id": b"i".hex() * 16,
        "report_id": b"r".hex() * 32,
        "vmpl": "0",
        "policy": "000000000003001f",
        "policy_abi": "0.31",
        "platform_info": "0000000000000025",
        "migration_agent": "false",
        "firmware": "1.52.4",
        "committed_firmware": "1.51.3",
        "smt": "true",
        "tsme": "false",
        "ecc": "true",
        "rapl_disabled": "false",
        "ciphertext_hiding": "false",
        "alias_check": "true",
        "tio": "false",
        "smt_allowed": "true",
        "migratable": "false",
        "single_socket": "false",
        "cxl_allowed": "false",
    }


def test_a_guest_that_may_be_debugged_or_moved_says_so() -> None:
    claims = verified(report=MILAN.report(patch={0x08: struct.pack("<Q", 0xF0000 | 1 << 18), 0x160: b"a" * 32}))
    assert claims.debug
    assert (claims.attributes["migratable"], claims.attributes["migration_agent"]) == ("true", "true")


def test_keys_that_signed_the_guests_identity_are_measured_where_there_are_any() -> None:
    signed = {0x0E0: b"k" * 48, 0x110: b"a" * 48}
    assert verified(report=MILAN.report(patch=signed)).measurements.keys() == {
        "measurement",
        "host_data",
        "id_key_digest",
    }
    found = verified(report=MILAN.report(patch={**signed, 0x48: b"\1"})).measurements
    assert (found["id_key_digest"], found["author_key_digest"]) == (b"k".hex() * 48, b"a".hex() * 48)


def test_report_data_with_something_in_its_second_half_is_no_binding() -> None:
    claims = verified(report=MILAN.report(patch={0x50: REPORT_DATA + b"\0" * 31 + b"\1"}))
    assert claims.bound == REPORT_DATA.hex() + "00" * 31 + "01"


def test_turin_packs_its_versions_otherwise_and_names_its_chip_shorter() -> None:
    turin = Amd("Turin")
    chip = Chip(turin, tcb=TURIN_TCB, chip_id=CHIP[:8])
    claims = verified(chip, SnpVerifier(turin.anchors), report=chip.report(5))
    assert {part: claims.versions[f"tcb_{part}"] for part in TURIN_TCB} == TURIN_TCB
    assert (claims.platform, claims.anchor) == (CHIP[:8].hex() + "00" * 56, "amd-turin")
    assert claims.attributes["launch_mitigations"] == "000000000000000f"
    assert claims.attributes["current_mitigations"] == "000000000000001f"
    without = Chip(turin, tcb=TCB, chip_id=CHIP[:8], key=chip.key)
    assert cause(chip, verifier=SnpVerifier(turin.anchors), certificate=without.certificate()) == "unbound"


def test_a_providers_key_signs_for_a_chip_that_is_named_or_masked() -> None:
    claims = verified(PROVIDED)
    assert (claims.attributes["signing_key"], claims.attributes["provider"]) == ("vlek", "CN=cc-eu-north-9.example.com")
    assert (claims.platform, claims.attributes["chip_id"]) == (CHIP.hex(), "shown")
    masked = verified(PROVIDED, report=PROVIDED.report(patch={0x1A0: bytes(64)}))
    assert (masked.platform, masked.attributes["chip_id"]) == (b"r".hex() * 32, "masked")


def test_keys_of_chips_and_of_providers_do_not_stand_in_for_one_another() -> None:
    assert cause(report=MILAN.report(patch={0x48: b"\4"})) == "unbound"
    assert cause(PROVIDED, report=PROVIDED.report(patch={0x48: b"\0"})) == "unbound"
    assert cause(certificate=MILAN.certificate(above=AMD.providers)) == "untrusted"
    assert cause(PROVIDED, certificate=PROVIDED.certificate(above=AMD.chips)) == "untrusted"
    both = [*MILAN.extensions(), own(ARC + "5", text("somebody"))]
    assert cause(certificate=MILAN.certificate(both)) == "malformed"
    assert cause(certificate=MILAN.certificate(MILAN.extensions()[:-1])) == "malformed"


def test_a_masked_chip_or_key_is_refused() -> None:
    with pytest.raises(EvidenceRefused, match=r"^unbound: the platform's owner masks which chip it is"):
        verified(report=MILAN.report(patch={0x1A0: bytes(64)}))
    assert patched(0x48, b"\2") == "unsupported"
    assert patched(0x48, b"\x1c") == patched(0x48, b"\x08") == patched(0x48, b"\x20") == "unsupported"


def test_a_certificate_is_of_the_reports_chip_firmware_and_generation() -> None:
    assert cause(certificate=Chip(AMD, key=MILAN.key, chip_id=CHIP[::-1]).certificate()) == "unbound"
    for part in TCB:
        newer = Chip(AMD, key=MILAN.key, tcb={**TCB, part: TCB[part] + 1})
        assert cause(certificate=newer.certificate()) == "unbound", part
        fewer = Chip(AMD, key=MILAN.key, tcb={name: number for name, number in TCB.items() if name != part})
        assert cause(certificate=fewer.certificate()) == "unbound", part
    assert cause(certificate=MILAN.certificate(MILAN.extensions("Genoa")), report=MILAN.report(3)) == "unbound"
    assert patched(0x188, b"\x1b\x01", 3) == "unbound"


def test_a_key_that_amd_does_not_certify_signs_nothing() -> None:
    assert cause(certificate=MILAN.certificate(above=Amd("Genoa").chips)) == "untrusted"
    assert cause(certificate=Chip(AMD).certificate()) == "signature"
    assert (
        cause(certificate=MILAN.certificate(ends=MILAN.amd.root.certificate.not_valid_before_utc.replace(day=3)))
        == "expired"
    )
    curve = Chip(AMD, key=ec.generate_private_key(ec.SECP256R1()))
    assert cause(certificate=curve.certificate()) == "unsupported"


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("2", b""),
        ("2", b"\x04\x05Milan"),
        ("2", b"\x16\x06Milan"),
        ("2", text("M\x00")),
        ("2", b"\x16\x02\xc3\xa9"),
        ("2", b"\x16\x80" + b"M" * 128),
        ("3.8", b"\x02\x01\xd1"),
        ("3.8", b"\x02\x02\x00\x03"),
        ("3.8", b"\x02\x02\x01\x03"),
        ("3.8", b"\x04\x01\x03"),
        ("4", CHIP[:63]),
        ("4", CHIP + b"\x01"),
        ("4", bytes(64)),
    ],
)
def test_a_certificate_that_does_not_say_what_it_must_is_refused(number: str, value: bytes) -> None:
    others = [one for one in MILAN.extensions() if one[0].oid.dotted_string != ARC + number]
    assert cause(certificate=MILAN.certificate([*others, own(ARC + number, value)])) == "malformed"


def test_generations_and_parts_that_nobody_knows_are_refused() -> None:
    assert cause(certificate=MILAN.certificate(MILAN.extensions("Venice"))) == "unsupported"
    used = [*MILAN.extensions()[:-5], own(ARC + "3.4", integer(1)), MILAN.extensions()[-1]]
    assert cause(certificate=MILAN.certificate(used)) == "unsupported"
    for at in (0x38, 0x180, 0x1E0, 0x1F0):
        assert patched(at + 2, b"\1") == "unsupported", hex(at)


def test_a_chips_id_may_be_an_octet_string() -> None:
    wrapped = [*MILAN.extensions()[:-1], own(ARC + "4", b"\x04\x40" + CHIP)]
    assert verified(certificate=MILAN.certificate(wrapped)).platform == CHIP.hex()


@pytest.mark.parametrize("version", [0, 1, 4, 6, 2**31])
def test_other_versions_of_reports_are_refused(version: int) -> None:
    assert patched(0, struct.pack("<I", version)) == "unsupported"


def test_what_has_to_be_zero_is() -> None:
    places = {2: (0x4C, 0x188, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x1F8, 0x29F), 3: (0x18B, 0x19F, 0x1F8), 5: (0x208, 0x29F)}
    for version, offsets in places.items():
        for at in offsets:
            assert patched(at, b"\1", version) == "unsupported", (version, hex(at))
    good = MILAN.report()
    for at in (0x2A0 + 48, 0x2A0 + 71, 0x2A0 + 72 + 48, 0x2A0 + 144, 1183):
        assert cause(report=good[:at] + b"\1" + good[at + 1 :]) == "malformed", hex(at)


def test_a_report_for_the_host_or_with_another_signature_is_refused() -> None:
    assert patched(0x30, struct.pack("<I", 4)) == patched(0x30, b"\xff" * 4) == "unbound"
    assert patched(0x34, b"\2") == "unsupported"
    assert patched(0x04, struct.pack("<I", 1_000_000_001)) == "unsupported"
    assert cause(report=MILAN.report()[:0x2A0] + bytes(512)) == "signature"


def test_evidence_is_a_report_and_a_certificate() -> None:
    for shown in ({}, {"report": SHOWN["report"]}, {**SHOWN, "more": b""}):
        with pytest.raises(EvidenceRefused, match=r"^malformed"):
            VERIFIER.verify(shown, AT)


def test_what_the_root_revoked_is_refused() -> None:
    listed = RevocationLists(AMD.anchors, {"list": AMD.root.revoke([5])})
    assert verified(verifier=SnpVerifier(AMD.anchors, listed)).attributes["revocation"] == "checked"
    for chip, serial in ((MILAN, 0x10001), (PROVIDED, 0x10101)):
        gone = RevocationLists(AMD.anchors, {"list": AMD.root.revoke([serial])})
        assert cause(chip, verifier=SnpVerifier(AMD.anchors, gone)) == "revoked"


def test_a_folder_holds_amds_certificates_and_lists(tmp_path: Path) -> None:
    (tmp_path / "amd-milan.pem").write_bytes(pem(*AMD.held))
    assert open_verifier(tmp_path).verify(SHOWN, AT).attributes["revocation"] == "unchecked"
    (tmp_path / "milan.crl").write_bytes(AMD.root.revoke([]))
    assert open_verifier(tmp_path).verify(SHOWN, AT).attributes["revocation"] == "checked"
    (tmp_path / "amd-genoa.pem").write_bytes(b"")
    with pytest.raises(RootsInvalid, match=r"amd-genoa\.pem"):
        open_verifier(tmp_path)


def test_no_bit_of_a_report_or_its_certificate_may_change() -> None:
    assert every_flip_is_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN, sample=400) > 800
    every_cut_is_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN)


def test_no_bit_of_what_amd_says_may_change() -> None:
    held = {**SHOWN, "roots": pem(*AMD.held), "list": AMD.root.revoke([])}

    def verify(shown: Mapping[str, bytes]) -> Claims:
        try:
            anchors = Anchors({"amd-milan": read_pem(shown["roots"], "roots", 8)})
            lists = RevocationLists(anchors, {"list": shown["list"]})
        except RootsInvalid as invalid:
            raise EvidenceRefused("untrusted", str(invalid)) from None
        return SnpVerifier(anchors, lists).verify({name: shown[name] for name in SHOWN}, AT)

    assert every_flip_is_refused(verify, held, ["roots", "list"], sample=150) > 300


def test_any_bytes_are_claims_or_refused() -> None:
    any_bytes_are_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN, examples=40)


@settings(max_examples=60, database=None)
@given(st.binary(max_size=120), st.integers(0, 0x2A0), st.sampled_from([2, 3, 5]))
def test_whatever_the_chip_signs_is_claims_or_refused(some: bytes, at: int, version: int) -> None:
    with suppress(EvidenceRefused):
        claims = verified(report=MILAN.report(version, {at: some[: 0x2A0 - at]}))
        assert Claims.model_validate(claims.model_dump()) == claims


def test_a_recorded_report_of_milan_verifies() -> None:
    shown = {"report": recorded("snp/test-report.bin"), "certificate": recorded("snp/test-vcek.der")}
    claims = SnpVerifier(milan()).verify(shown, RECORDED_AT)
    assert (claims.anchor, claims.attributes["product"], claims.debug) == ("amd-milan", "milan", False)
    assert claims.measurements["measurement"].startswith("a1f3930413247bb3")
    assert claims.measurements["id_key_digest"].startswith("0356215882a82527")
    assert {part: claims.versions[f"tcb_{part}"] for part in TCB} == {
        "bootloader": 3,
        "tee": 0,
        "snp": 8,
        "microcode": 115,
    }
    assert claims.platform.startswith("c38427a30d4c7af9")
    with pytest.raises(EvidenceRefused, match=r"^expired"):
        SnpVerifier(milan()).verify(shown, 1_900_000_000.0)


@pytest.mark.parametrize("name", ["legacy", "new"])
def test_the_recorded_invalid_certificates_are_refused_for_three_reasons(name: str) -> None:
    """Each names Milan's authority, which did not sign it as it is: its chip is called 00 01 02 and so on to 3f.

    So it is of another chip than the report, and of another key than the one that signed the report.
    """
    report, der = recorded("snp/test-report.bin"), recorded(f"snp/test-vcek-invalid-{name}.der")
    with pytest.raises(EvidenceRefused, match=r"^untrusted"):
        SnpVerifier(milan()).verify({"report": report, "certificate": der}, RECORDED_AT)
    certificate, parsed = read_certificate(der, "it"), parse_report(report)
    assert certificate.issuer in {one.subject for one in read_pem(recorded("snp/milan_ask_ark_asvk.pem"), "roots", 8)}
    endorsement = read_endorsement(certificate)
    assert endorsement.chip_id == bytes(range(64))
    with pytest.raises(EvidenceRefused, match=r"^unbound"):
        check_endorsed(parsed, endorsement)
    with pytest.raises(EvidenceRefused, match=r"^signature"):
        verify_report(parsed, report, endorsement.key)


def test_no_bit_of_amds_recorded_certificates_may_change() -> None:
    good = recorded("snp/milan_ask_ark_asvk.pem")

    def verify(held: Mapping[str, bytes]) -> object:
        try:
            return Anchors({"amd-milan": read_pem(held["roots"], "roots", 8)}).names
        except RootsInvalid as invalid:
            raise EvidenceRefused("untrusted", str(invalid)) from None

    assert every_flip_is_refused(verify, {"roots": good}, sample=150) > 150


def test_no_bit_of_recorded_evidence_may_change() -> None:
    verifier = SnpVerifier(milan())
    shown = {"report": recorded("snp/test-report.bin"), "certificate": recorded("snp/test-vcek.der")}
    assert every_flip_is_refused(lambda some: verifier.verify(some, RECORDED_AT), shown, sample=250) > 500
