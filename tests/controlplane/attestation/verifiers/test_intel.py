"""Quotes of SGX and TDX verify under a given root, with given collateral, at a given time, or are refused."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.attestation.chains import Anchors
from controlplane.attestation.dcap.quotes import read_quote
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.verifiers import sgx, tdx
from controlplane.attestation.verifiers.sgx import SgxVerifier
from controlplane.attestation.verifiers.tdx import TdxVerifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_chains import pem
from tests.controlplane.attestation.making_intel import AT, BEGINS, ENDS, FMSPC, PPID, Intel
from tests.controlplane.attestation.recorded import recorded

RECORDED_AT = 1_750_500_000
KINDS: dict[str, Any] = {"sgx": SgxVerifier, "tdx": TdxVerifier}
BOUND = bytes(range(100, 132))


@pytest.fixture(scope="module")
def intel() -> Intel:
    return Intel()


def made(intel: Intel, kind: str, **change: Any) -> dict[str, bytes]:
    return {"quote": intel.quote(kind, BOUND + bytes(32)), "collateral": intel.collateral(kind, **change)}


def verified(intel: Intel, kind: str, evidence: Mapping[str, bytes], at: float = AT) -> Claims:
    found: Claims = KINDS[kind](intel.anchors).verify(evidence, at)
    return found


def cause(intel: Intel, kind: str, evidence: Mapping[str, bytes], at: float = AT) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(intel, kind, evidence, at)
    return refused.value.cause


def of_hardware(name: str, kind: str) -> tuple[Any, dict[str, bytes]]:
    quote = recorded(f"dcap/{name}")
    anchors = Anchors({"intel": [read_quote(quote).chain[-1]]})
    return KINDS[kind](anchors), {"quote": quote, "collateral": recorded(f"dcap/{name}_collateral.json")}


def test_an_enclave_says_what_it_is_on_which_platform_and_what_that_is_worth(intel: Intel) -> None:
    claims = verified(
        intel, "sgx", made(intel, "sgx", status="OutOfDate", advisories=("INTEL-SA-00615", "INTEL-SA-00289"))
    )
    assert (claims.kind, claims.anchor, claims.platform) == ("sgx", "intel", PPID.hex())
    assert claims.bound == BOUND.hex() and not claims.debug
    assert claims.status == "out_of_date" and claims.advisories == ["INTEL-SA-00289", "INTEL-SA-00615"]
    assert claims.measurements == {
        "mrenclave": "11" * 32,
        "mrsigner": "22" * 32,
        "config_id": "00" * 64,
        "isvextprodid": "00" * 16,
        "isvfamilyid": "00" * 16,
    }
    assert claims.versions["config_svn"] == 0
    assert (claims.versions["isvsvn"], claims.versions["cpu_svn_15"]) == (9, 5)
    # Of a product's number more is not better: it is compared as it is.
    assert claims.attributes["isvprodid"] == "7"
    assert "isvprodid" not in claims.versions
    assert claims.attributes["fmspc"] == FMSPC


def test_a_guest_says_what_it_is(intel: Intel) -> None:
    claims = verified(intel, "tdx", made(intel, "tdx"))
    assert claims.status == "up_to_date" and claims.bound == BOUND.hex()
    assert claims.measurements["mrtd"] == "40" * 48 and claims.measurements["rtmr3"] == "47" * 48
    assert claims.versions["tee_tcb_svn_0"] == 5 and claims.attributes["td_attributes"] == "0000001000000000"


def test_data_beyond_32_bytes_binds_nothing(intel: Intel) -> None:
    evidence = {"quote": intel.quote("sgx", BOUND + bytes(31) + b"\1"), "collateral": intel.collateral()}
    assert verified(intel, "sgx", evidence).bound == (BOUND + bytes(31) + b"\1").hex()


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("SWHardeningNeeded", "sw_hardening_needed"),
        ("ConfigurationNeeded", "configuration_needed"),
        ("ConfigurationAndSWHardeningNeeded", "configuration_and_sw_hardening_needed"),
        ("OutOfDateConfigurationNeeded", "out_of_date_configuration_needed"),
    ],
)
def test_each_status_of_intels_has_a_word(intel: Intel, status: str, word: str) -> None:
    assert verified(intel, "sgx", made(intel, "sgx", status=status)).status == word


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_hold_is_refused_with_its_cause(intel: Intel, kind: str) -> None:
    good, other = made(intel, kind), Intel()
    assert cause(intel, kind, {**good, "quote": intel.quote(kind, debug=True)}) == "unsupported"
    assert cause(intel, kind, made(intel, kind, status="Revoked")) == "revoked"
    assert cause(intel, kind, made(intel, kind, revoked=(intel.platform.certificate,))) == "revoked"
    assert cause(intel, kind, made(intel, kind, revoked=(intel.signing.certificate,))) == "revoked"
    assert cause(intel, kind, made(intel, kind, svn=6)) == "revoked"
    assert cause(intel, kind, made(intel, kind, fmspc="00" * 6)) == "unbound"
    assert cause(intel, kind, made(intel, kind, pceId="0001")) == "unbound"
    assert cause(intel, kind, made(other, kind)) == "untrusted"
    assert cause(intel, kind, {**good, "collateral": other.collateral(kind)}) == "untrusted"
    assert cause(intel, kind, {**good, "collateral": intel.collateral("tdx" if kind == "sgx" else "sgx")}) != ""
    assert cause(intel, "tdx" if kind == "sgx" else "sgx", good) == "unsupported"


@pytest.mark.parametrize("kind", KINDS)
def test_collateral_counts_from_its_issue_until_its_next_update(intel: Intel, kind: str) -> None:
    evidence = made(intel, kind)
    for at in (BEGINS + timedelta(seconds=1), ENDS - timedelta(seconds=1)):
        verified(intel, kind, evidence, at.timestamp())
    for at in (BEGINS - timedelta(seconds=1), ENDS + timedelta(seconds=1), ENDS + timedelta(days=5000)):
        assert cause(intel, kind, evidence, at.timestamp()) == "expired"
    assert cause(intel, kind, evidence, -1.0) != "" and cause(intel, kind, evidence, 1e30) != ""


def test_a_mixed_document_of_two_makers_is_refused(intel: Intel) -> None:
    other, good = Intel().document(), intel.document()
    for name in type(good).model_fields:
        if getattr(other, name) == getattr(good, name):
            continue
        mixed = good.model_copy(update={name: getattr(other, name)})
        evidence = {**made(intel, "sgx"), "collateral": mixed.model_dump_json(indent=2).encode()}
        assert cause(intel, "sgx", evidence) in ("untrusted", "signature"), name


def test_what_wraps_the_certificates_is_read_too(intel: Intel) -> None:
    collateral = intel.collateral("tdx")
    chain = (intel.platform.pem + intel.authority.pem).encode()
    for change in ({"wrap": 5}, {"chain": chain}, {"chain": chain + intel.root.pem.encode() + b"\0\0"}, {"chain": b""}):
        assert cause(intel, "tdx", {"quote": intel.quote("tdx", **change), "collateral": collateral}) in (
            "unsupported",
            "malformed",
        )


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_of_a_quote_or_its_collateral_may_change(intel: Intel, kind: str) -> None:
    evidence = made(intel, kind)
    evidence["quote"] += bytes(8)

    def _verify(changed: Mapping[str, bytes]) -> object:
        return verified(intel, kind, changed)

    every_flip_is_refused(_verify, evidence, sample=400)
    every_cut_is_refused(_verify, evidence, ["quote"], padded=True)
    any_bytes_are_refused(_verify, evidence, padded=True)


@pytest.mark.parametrize("kind", KINDS)
def test_collateral_comes_from_a_folder_where_it_is_not_sent(intel: Intel, kind: str, tmp_path: Path) -> None:
    (tmp_path / "intel.pem").write_bytes(pem(intel.root.certificate))
    verifier = (sgx if kind == "sgx" else tdx).open_verifier(tmp_path)
    evidence = {"quote": intel.quote(kind)}
    with pytest.raises(EvidenceRefused, match=f"no collateral {kind}-{FMSPC}-processor") as refused:
        verifier.verify(evidence, AT)
    assert refused.value.cause == "expired"
    (tmp_path / "collateral").mkdir()
    (tmp_path / "collateral" / f"{kind}-{FMSPC}-processor.json").write_bytes(intel.collateral(kind))
    assert verifier.verify(evidence, AT).anchor == "intel"


@pytest.mark.parametrize("kind", KINDS)
def test_collateral_that_is_kept_counts_before_what_a_platform_sends(intel: Intel, kind: str) -> None:
    """Both are Intel's and valid: whose firmware fell behind sends the edition of before that was found."""
    kinder, kept = made(intel, kind), intel.collateral(kind, status="OutOfDate", tcbEvaluationDataNumber=18)
    assert KINDS[kind](intel.anchors, lambda _name: kept).verify(kinder, AT).status == "out_of_date"
    revoking = intel.collateral(kind, revoked=(intel.platform.certificate,))
    with pytest.raises(EvidenceRefused, match=r"^revoked"):
        KINDS[kind](intel.anchors, lambda _name: revoking).verify(kinder, AT)
    over = intel.collateral(kind, nextUpdate=BEGINS.strftime("%Y-%m-%dT%H:%M:%SZ"), status="OutOfDate")
    assert KINDS[kind](intel.anchors, lambda _name: over).verify(kinder, AT).status == "up_to_date"


def test_unknown_or_missing_members_are_refused(intel: Intel) -> None:
    evidence = made(intel, "sgx")
    assert cause(intel, "sgx", {"collateral": evidence["collateral"]}) == "malformed"
    assert cause(intel, "sgx", {**evidence, "more": b""}) == "malformed"
    assert cause(intel, "sgx", {**evidence, "collateral": b" " + evidence["collateral"]}) == "malformed"
    upper = evidence["collateral"].replace(b'"pck_crl": "30', b'"pck_crl": "3\\u0030')
    assert cause(intel, "sgx", {**evidence, "collateral": upper}) == "malformed"


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [("sgx_quote", "sgx", "configuration_and_sw_hardening_needed"), ("tdx_quote", "tdx", "up_to_date")],
)
def test_recorded_quotes_verify_at_their_time_and_not_today(name: str, kind: str, status: str) -> None:
    verifier, evidence = of_hardware(name, kind)
    claims = verifier.verify(evidence, RECORDED_AT)
    assert claims.status == status
    issued = json.loads(json.loads(evidence["collateral"])["tcb_info"])["issueDate"]
    assert issued.startswith("2025-06-19")
    with pytest.raises(EvidenceRefused) as refused:
        verifier.verify(evidence, AT)
    assert refused.value.cause == "expired"


def test_a_recorded_enclave_says_what_intels_own_tools_say_of_it() -> None:
    verifier, evidence = of_hardware("sgx_quote", "sgx")
    claims = verifier.verify(evidence, RECORDED_AT)
    assert bytes.fromhex(claims.bound).rstrip(b"\0") == b"Hello, world!"
    assert claims.measurements["mrenclave"] == "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    assert claims.advisories == ["INTEL-SA-00289", "INTEL-SA-00615"]


def test_a_recorded_quote_of_old_firmware_is_refused() -> None:
    verifier, evidence = of_hardware("tdx_quote_outdated", "tdx")
    with pytest.raises(EvidenceRefused, match="firmware is older") as refused:
        verifier.verify(evidence, 1_771_500_000)
    assert refused.value.cause == "revoked"


@pytest.mark.parametrize(("name", "kind"), [("sgx_quote", "sgx"), ("tdx_quote", "tdx")])
def test_no_bit_of_a_recorded_quote_may_change(name: str, kind: str) -> None:
    verifier, evidence = of_hardware(name, kind)
    every_flip_is_refused(lambda changed: verifier.verify(changed, RECORDED_AT), evidence, sample=150)
