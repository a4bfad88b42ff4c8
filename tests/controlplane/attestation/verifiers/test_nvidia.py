"""A GPU's report verifies with its chain under a given root, and nothing in either may change."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.verifiers.nvidia import NvidiaVerifier, open_verifier
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_chains import AT, BEGINS, ENDS, pem, usage
from tests.controlplane.attestation.making_nvidia import FWID, Gpu
from tests.controlplane.attestation.recorded import recorded

GPU = Gpu()
BOUND = bytes(range(32))
RECORDED_AT = 1_750_500_000


def cause(evidence: Mapping[str, bytes], at: float = AT) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        NvidiaVerifier(GPU.anchors).verify(evidence, at)
    return refused.value.cause


def of_hardware() -> tuple[NvidiaVerifier, dict[str, bytes]]:
    root = read_pem(recorded("nvidia/nvidia_device_root.pem"), "the root", 1)
    report = bytes.fromhex(recorded("nvidia/hopperAttestationReport.txt").decode())
    return NvidiaVerifier(Anchors({"nvidia": root})), {
        "report": report,
        "chain": recorded("nvidia/hopper_cert_chain_case1.txt"),
    }


def test_a_gpu_says_what_it_runs() -> None:
    claims = NvidiaVerifier(GPU.anchors).verify(GPU.evidence(BOUND, after=bytes(64)), AT)
    assert (claims.kind, claims.anchor, claims.bound) == ("nvidia", "nvidia", BOUND.hex())
    assert claims.measurements == {f"index{index}": f"{index:02x}" * 48 for index in (1, 2, 3, 4)}
    assert claims.attributes["driver"] == "550.90.07" and claims.attributes["vbios"] == "96.00.9f.00.01"
    assert claims.attributes["fwid"] == FWID.hex() and claims.attributes["revocation"] == "unchecked"


def test_the_platform_is_the_chip_and_not_its_firmware() -> None:
    verifier = NvidiaVerifier(GPU.anchors)
    first = verifier.verify(GPU.evidence(), AT).platform
    extensions = [(extension.value, extension.critical) for extension in GPU.leaf.extensions]
    again = GPU.chip.certify("GSP FMC 2", GPU.key, extensions)
    assert verifier.verify({"report": GPU.report(), "chain": GPU.chain(leaf=again)}, AT).platform == first
    other = Gpu()
    assert NvidiaVerifier(other.anchors).verify(other.evidence(), AT).platform != first


def test_another_key_other_firmware_or_another_root_is_refused() -> None:
    other, plain = Gpu(), ec.generate_private_key(ec.SECP384R1())
    named = [(extension.value, extension.critical) for extension in GPU.leaf.extensions]
    assert cause(other.evidence()) == "untrusted"
    assert cause({**GPU.evidence(), "report": other.report()}) == "signature"
    stranger = GPU.chip.certify("GSP FMC", plain, named)
    assert cause({"report": GPU.report(), "chain": GPU.chain(leaf=stranger)}) == "signature"
    nameless = GPU.chip.certify("GSP FMC", GPU.key, [(usage("digital_signature"), True)])
    assert cause({"report": GPU.report(), "chain": GPU.chain(leaf=nameless)}) == "unbound"
    assert cause({"report": GPU.report(added={20: None}), "chain": GPU.chain(leaf=nameless)}) == "unbound"
    assert cause(GPU.evidence(added={20: None})) == "unbound"
    assert cause(GPU.evidence(added={20: b"\x52" * 48})) == "unbound"


def test_a_report_of_another_form_is_refused() -> None:
    for change in (
        {"blocks": 3},
        {"blocks": 5},
        {"blocks": 0},
        {"indices": (1, 2, 3, 3)},
        {"indices": (0, 1, 2, 3)},
        {"kind": 0x81},
        {"request": b"\x12\xe0\x01\xff"},
        {"request": b"\x11\xe0\x00\xff"},
        {"request": b"\x11\xe0\x01\x01"},
        {"answer": b"\x11\x60\x00\x01"},
        {"answer": b"\x11\x7f\x00\x00"},
        {"after": b"\0\1"},
        {"added": {6: b"\0"}},
        {"added": {3: b"\x80" * 40}},
        {"added": {3: b"550\n90\0"}},
    ):
        assert cause(GPU.evidence(**change)) in ("malformed", "unsupported"), change  # type: ignore[arg-type]
    short = pem(GPU.leaf, GPU.root.certificate)
    assert cause({"report": GPU.report(), "chain": short}) == "malformed"


def test_certificates_count_in_their_time() -> None:
    assert cause(GPU.evidence(), BEGINS.timestamp() - 1) == "expired"
    assert cause(GPU.evidence(), ENDS.timestamp() + 1) == "expired"


def test_what_the_root_revoked_is_refused_where_its_list_is_kept(tmp_path: Path) -> None:
    (tmp_path / "nvidia.pem").write_bytes(pem(GPU.root.certificate))
    (tmp_path / "nvidia.crl").write_bytes(GPU.root.revoke([]))
    assert open_verifier(tmp_path).verify(GPU.evidence(), AT).attributes["revocation"] == "checked"
    (tmp_path / "nvidia.crl").write_bytes(GPU.root.revoke([GPU.family.certificate.serial_number]))
    with pytest.raises(EvidenceRefused) as refused:
        open_verifier(tmp_path).verify(GPU.evidence(), AT)
    assert refused.value.cause == "revoked"


def test_no_bit_of_a_report_or_its_chain_may_change() -> None:
    verifier, evidence = NvidiaVerifier(GPU.anchors), GPU.evidence(after=bytes(4))

    def _verify(changed: Mapping[str, bytes]) -> object:
        return verifier.verify(changed, AT)

    every_flip_is_refused(_verify, evidence, sample=250)
    every_cut_is_refused(_verify, evidence, padded=True)
    any_bytes_are_refused(_verify, evidence, padded=True)


def test_a_recorded_gpu_says_what_its_makers_tools_say_of_it() -> None:
    verifier, evidence = of_hardware()
    claims = verifier.verify(evidence, RECORDED_AT)
    said = json.loads(recorded("nvidia/hopperAttestationReport-claims.txt"))
    assert claims.measurements == {f"index{index}": digest for index, digest in said["measurements"].items()}
    config = said["config"]
    assert claims.attributes["driver"] == config["driver_version"]
    assert claims.attributes["vbios"] == config["vbios_version"]
    assert claims.attributes["chip"] == "GH100 A01 GSP BROM"
    for name in (
        "fwid",
        "gpu_info",
        "chip_sku",
        "chip_sku_mod",
        "project",
        "project_sku",
        "project_sku_mod",
        "cpr_info",
    ):
        assert claims.attributes[name] == config[name], name
    assert claims.attributes["board"] == config["board_id"]
    assert bytes.fromhex(claims.attributes["nvdec0"]).decode() == config["nvdec0_status"]
    assert claims.bound == evidence["report"][4:36].hex()


def test_no_bit_of_a_recorded_report_may_change() -> None:
    verifier, evidence = of_hardware()
    every_flip_is_refused(lambda changed: verifier.verify(changed, RECORDED_AT), evidence, sample=120)
