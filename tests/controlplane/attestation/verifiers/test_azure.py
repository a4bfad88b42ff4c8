"""Azure: hardware vouches for the firmware's key, that key for what the guest booted, and nothing else joins them."""

import base64
import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.attestation.verifiers.azure import AzureVerifier, open_verifier
from controlplane.attestation.verifiers.snp import SnpVerifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_amd import CHIP, Amd, Chip
from tests.controlplane.attestation.making_azure import BINDING, Machine
from tests.controlplane.attestation.making_chains import AT, pem, rsa_key
from tests.controlplane.attestation.recorded import recorded
from tests.controlplane.attestation.tpm.making import attest, registers, sign

AMD = Amd()
MACHINE = Machine(Chip(AMD))
OTHER = Machine(Chip(AMD), rsa_key(4))
VERIFIER = AzureVerifier(SnpVerifier(AMD.anchors))
SHOWN = MACHINE.shows()
START = 32 + 1184
RECORDED_AT = 1_750_000_000.0


def verified(**change: bytes) -> Claims:
    return VERIFIER.verify({**SHOWN, **change}, AT)


def cause(**change: bytes) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(**change)
    return refused.value.cause


def said(**change: Any) -> str:
    return cause(hcl_report=MACHINE.report(MACHINE.runtime(**change)))


def milan() -> AzureVerifier:
    roots = read_pem(recorded("snp/milan_ask_ark_asvk.pem"), "milan", 8)
    return AzureVerifier(SnpVerifier(Anchors({"amd-milan": roots})))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def recorded_machine() -> dict[str, bytes]:
    found = json.loads(recorded("azure/evidence-v1.json"))
    quote = found["tpm_quote"]
    return {
        "hcl_report": decoded(found["hcl_report"]),
        "certificate": decoded(found["vcek"]),
        "quote": bytes.fromhex(quote["message"]),
        "signature": bytes.fromhex(quote["signature"]),
        "pcrs": b"".join(map(bytes.fromhex, quote["pcrs"])),
    }


def test_a_machine_says_what_it_is_and_what_it_booted() -> None:
    verifier: Verifier = VERIFIER
    claims = verifier.verify(SHOWN, AT)
    assert (claims.kind, claims.anchor, claims.platform) == ("azure", "amd-milan", CHIP.hex())
    assert (claims.bound, claims.debug) == (BINDING.hex(), False)
    assert claims.measurements == {"measurement": b"m".hex() * 48, "host_data": b"h".hex() * 32} | {
        f"pcr{pcr}": value.hex() for pcr, value in registers(24).items()
    }
    assert claims.versions["tcb_snp"] == 8
    ours = {"secure_boot": "enabled", "console": "disabled", "tpm": "enabled", "vm_id": "6F-01", "bank": "sha256"}
    assert claims.attributes.items() >= ours.items()
    assert Claims.model_validate(claims.model_dump()) == claims


def test_a_quote_may_be_of_some_registers_or_in_the_tpms_own_form() -> None:
    some = {7: registers(24)[7]}
    quote = attest(BINDING, some)
    claims = verified(quote=quote, signature=sign(MACHINE.key, quote, pss=True), pcrs=some[7])
    assert {name for name in claims.measurements if name.startswith("pcr")} == {"pcr7"}


def test_the_report_has_to_vouch_for_the_runtime_data() -> None:
    assert cause(hcl_report=MACHINE.report(patch={0x50: b"\1" * 64})) == "unbound"
    assert cause(hcl_report=MACHINE.report(patch={0x8F: b"\1"})) == "unbound"
    report = SHOWN["hcl_report"]
    other = OTHER.report()
    assert cause(hcl_report=report[:START] + other[START:]) == "unbound"


def test_the_key_in_the_runtime_data_has_to_sign_the_quote() -> None:
    assert cause(signature=OTHER.sign(SHOWN["quote"])) == "signature"
    assert cause(hcl_report=OTHER.report()) == "signature"
    assert cause(quote=attest(b"other", registers(24))) == "signature"


def test_the_quote_has_to_be_of_the_registers() -> None:
    swapped = SHOWN["pcrs"][32:64] + SHOWN["pcrs"][:32] + SHOWN["pcrs"][64:]
    assert cause(pcrs=swapped) == "unbound"
    assert cause(pcrs=SHOWN["pcrs"][:-32]) == cause(pcrs=b"") == "malformed"


def test_a_quote_that_carries_nothing_answers_nothing() -> None:
    quote = attest(b"", registers(24))
    assert cause(quote=quote, signature=MACHINE.sign(quote)) == "unbound"


def test_a_report_that_the_guest_had_made_vouches_for_no_firmware() -> None:
    assert cause(hcl_report=MACHINE.report(patch={0x30: b"\2"})) == "unbound"
    debugged = verified(hcl_report=MACHINE.report(patch={0x08: struct.pack("<Q", 0xB001F)}))
    assert debugged.debug


@pytest.mark.parametrize("at", [4, 12, 16, 20, 31, START + 4, START + 8, START + 12])
def test_headers_of_another_version_or_purpose_are_refused(at: int) -> None:
    report = bytearray(SHOWN["hcl_report"])
    report[at] ^= 4
    assert cause(hcl_report=bytes(report)) == "unsupported"


@pytest.mark.parametrize("at", [0, 3, 8, 11, START, START + 16, START + 19, -1])
def test_lengths_that_do_not_fit_are_refused(at: int) -> None:
    report = bytearray(SHOWN["hcl_report"])
    report[at] ^= 1
    assert cause(hcl_report=bytes(report)) == "malformed"


def test_a_report_is_neither_too_short_nor_too_long() -> None:
    assert cause(hcl_report=MACHINE.report()[: START + 20]) == "malformed"
    assert cause(hcl_report=MACHINE.report(filling=20_000)) == "malformed"
    assert cause(hcl_report=MACHINE.report(filling=0)[:-1]) == "malformed"
    assert verified(hcl_report=MACHINE.report(filling=0)).kind == "azure"


def test_runtime_data_names_one_key_once() -> None:
    jwk = MACHINE.jwk()
    for keys in (
        [],
        [jwk, jwk],
        [MACHINE.jwk(kid="other")],
        [MACHINE.jwk(kty="EC")],
        [MACHINE.jwk(key_ops=["encrypt"])],
        7,
    ):
        assert said(keys=keys) == "malformed"
    assert said(keys=[MACHINE.jwk(n=5)]) == said(keys=[{"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB"}]) == "malformed"
    assert said(keys=[MACHINE.jwk(e="Aw")]) == said(keys=[MACHINE.jwk(n="AQAB")]) == "unsupported"
    twice = MACHINE.runtime().replace(b'"keys"', b'"keys": [], "keys"', 1)
    for runtime in (twice, b"[]", b"{", b"\xff", b"[" * 5000):
        assert cause(hcl_report=MACHINE.report(runtime)) == "malformed"
    assert said(**{"vm-configuration": {"secure-boot": "yes"}}) == said(**{"vm-configuration": []}) == "malformed"


def test_what_is_said_of_the_machine_is_left_out_where_it_is_not_said_in_words() -> None:
    plain = verified(hcl_report=MACHINE.report(MACHINE.runtime(**{"vm-configuration": {"vmUniqueId": "a\nb"}})))
    assert not plain.attributes.keys() & {"secure_boot", "vm_id"}


def test_a_short_key_of_the_virtual_tpm_is_refused() -> None:
    weak = Machine(MACHINE.chip, rsa.generate_private_key(65537, 1024))
    assert cause(**weak.shows()) == "unsupported"


def test_evidence_has_all_members_and_no_other() -> None:
    for name in SHOWN:
        with pytest.raises(EvidenceRefused, match=r"^malformed"):
            VERIFIER.verify({member: value for member, value in SHOWN.items() if member != name}, AT)
    assert cause(more=b"") == "malformed"


def test_a_folder_holds_amds_certificates(tmp_path: Path) -> None:
    (tmp_path / "amd-milan.pem").write_bytes(pem(*AMD.held))
    assert open_verifier(tmp_path).verify(SHOWN, AT).anchor == "amd-milan"


def test_no_bit_of_the_evidence_may_change() -> None:
    assert every_flip_is_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN, sample=150) > 700
    every_cut_is_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN, padded=True)
    every_cut_is_refused(lambda shown: VERIFIER.verify(shown, AT), {**SHOWN, "hcl_report": MACHINE.report(filling=0)})


def test_any_bytes_are_claims_or_refused() -> None:
    any_bytes_are_refused(lambda shown: VERIFIER.verify(shown, AT), SHOWN, examples=60, padded=True)


@settings(max_examples=60, database=None)
@given(st.binary(max_size=60), st.floats(0, 1), st.integers(0, 60))
def test_whatever_runtime_data_the_hardware_vouches_for_is_claims_or_refused(
    some: bytes, where: float, length: int
) -> None:
    runtime = MACHINE.runtime()
    at = int(where * len(runtime))
    with suppress(EvidenceRefused):
        claims = verified(hcl_report=MACHINE.report(runtime[:at] + some + runtime[at + length :]))
        assert Claims.model_validate(claims.model_dump()) == claims


def test_a_recorded_machine_verifies() -> None:
    shown = recorded_machine()
    claims = milan().verify(shown, RECORDED_AT)
    assert (claims.anchor, claims.debug, claims.attributes["vmpl"]) == ("amd-milan", False, "0")
    assert claims.attributes["secure_boot"] == "enabled"
    pcrs = [name for name in claims.measurements if name.startswith("pcr")]
    assert len(pcrs) == 24
    assert claims.measurements["pcr0"].startswith("e15c44796beabf46")
    with pytest.raises(EvidenceRefused, match=r"^expired: .* is not valid yet"):
        milan().verify(shown, 1_700_000_000.0)


def test_no_bit_of_a_recorded_machine_may_change() -> None:
    verifier = milan()
    assert (
        every_flip_is_refused(lambda shown: verifier.verify(shown, RECORDED_AT), recorded_machine(), sample=100) > 500
    )


def test_a_recorded_pair_of_report_and_quote_from_two_machines_is_refused() -> None:
    """The report verifies under the chip's certificate that was recorded with it; its key did not sign the quote."""
    first = recorded("azure/vcek.pem").split(b"-----BEGIN")[1]
    with pytest.warns(match="serial number"):
        vcek = x509.load_pem_x509_certificate(b"-----BEGIN" + first).public_bytes(Encoding.DER)
    shown = {
        "hcl_report": recorded("azure/hcl-report.bin"),
        "certificate": vcek,
        "quote": recorded("azure/tpm-quote.msg"),
        "signature": recorded("azure/tpm-quote.sig"),
        "pcrs": recorded_machine()["pcrs"],
    }
    with pytest.raises(EvidenceRefused, match=r"^signature: the quote was not signed by the attestation key"):
        milan().verify(shown, RECORDED_AT)
