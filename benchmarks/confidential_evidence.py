"""How long evidence of each kind takes to verify: ``python -m benchmarks.confidential_evidence --json``.

Recorded evidence of real hardware is taken where it lies beside the project, else what the tests make under roots of
their own; the answer says which. Each time is the whole of one verification, from bytes to claims, with roots and
collateral at hand; milliseconds, the median.
"""

import argparse
import base64
import hashlib
import importlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import Verifier

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"
MADE = "tests.controlplane.attestation"

_RECORDED_AT = 1_750_500_000.0
_NITRO_AT = 1_695_049_410.86


@dataclass(frozen=True)
class Case:
    """What is verified.

    Attributes:
        verifier: of its kind.
        evidence: its members.
        at: Unix seconds.
        source: ``recorded`` or ``made``.
    """

    verifier: Verifier
    evidence: Mapping[str, bytes]
    at: float
    source: str


def measure(runs: int = 25) -> dict[str, Any]:
    """Return the times of all kinds.

    Args:
        runs: verifications of each kind, after two that do not count.
    """
    cases = {kind: case() for kind, case in CASES.items()}
    return {
        "verify_ms": {kind: _median_ms(case, runs) for kind, case in cases.items()},
        "evidence": {kind: case.source for kind, case in cases.items()},
        "runs": runs,
    }


def _median_ms(case: Case, runs: int) -> float:
    taken = []
    for _ in range(runs + 2):
        began = time.perf_counter()
        case.verifier.verify(case.evidence, case.at)
        taken.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(taken[2:]), 3)


def _recorded(name: str) -> bytes | None:
    path = VECTORS / name
    return path.read_bytes() if path.is_file() else None


def _made(name: str) -> Any:
    return importlib.import_module(f"{MADE}.{name}")


def _snp() -> Case:
    from controlplane.attestation.verifiers.snp import SnpVerifier

    report, certificate = _recorded("snp/test-report.bin"), _recorded("snp/test-vcek.der")
    roots = _recorded("snp/milan_ask_ark_asvk.pem")
    if report is None or certificate is None or roots is None:
        amd = _made("making_amd").Amd()
        chip = _made("making_amd").Chip(amd)
        evidence = {"report": chip.report(), "certificate": chip.certificate()}
        return Case(SnpVerifier(amd.anchors), evidence, _made("making_chains").AT, "made")
    anchors = Anchors({"amd-milan": read_pem(roots, "milan", 8)})
    return Case(SnpVerifier(anchors), {"report": report, "certificate": certificate}, _RECORDED_AT, "recorded")


def _azure() -> Case:
    from controlplane.attestation.verifiers.azure import AzureVerifier
    from controlplane.attestation.verifiers.snp import SnpVerifier

    found, roots = _recorded("azure/evidence-v1.json"), _recorded("snp/milan_ask_ark_asvk.pem")
    if found is None or roots is None:
        amd = _made("making_amd").Amd()
        machine = _made("making_azure").Machine(_made("making_amd").Chip(amd))
        return Case(AzureVerifier(SnpVerifier(amd.anchors)), machine.shows(), _made("making_chains").AT, "made")
    told = json.loads(found)
    quote = told["tpm_quote"]
    evidence = {
        "hcl_report": _urlsafe(told["hcl_report"]),
        "certificate": _urlsafe(told["vcek"]),
        "quote": bytes.fromhex(quote["message"]),
        "signature": bytes.fromhex(quote["signature"]),
        "pcrs": b"".join(map(bytes.fromhex, quote["pcrs"])),
    }
    anchors = Anchors({"amd-milan": read_pem(roots, "milan", 8)})
    return Case(AzureVerifier(SnpVerifier(anchors)), evidence, _RECORDED_AT, "recorded")


def _nitro() -> Case:
    from controlplane.attestation.verifiers.nitro import NitroVerifier

    document, root = _recorded("nitro/valid-attestation-doc.cbor"), _recorded("nitro/aws-nitro-root.pem")
    if document is None or root is None:
        cloud = _made("making_nitro").Cloud()
        verifier = NitroVerifier(Anchors({"aws-nitro": [cloud.root.certificate]}))
        return Case(verifier, {"document": cloud.document()}, _made("making_chains").AT, "made")
    verifier = NitroVerifier(Anchors({"aws-nitro": read_pem(root, "aws", 8)}))
    return Case(verifier, {"document": document}, _NITRO_AT, "recorded")


def _nvidia() -> Case:
    from controlplane.attestation.verifiers.nvidia import NvidiaVerifier

    report, chain = _recorded("nvidia/hopperAttestationReport.txt"), _recorded("nvidia/hopper_cert_chain_case1.txt")
    root = _recorded("nvidia/nvidia_device_root.pem")
    if report is None or chain is None or root is None:
        gpu = _made("making_nvidia").Gpu()
        return Case(NvidiaVerifier(gpu.anchors), gpu.evidence(), _made("making_chains").AT, "made")
    verifier = NvidiaVerifier(Anchors({"nvidia": read_pem(root, "nvidia", 1)}))
    return Case(verifier, {"report": bytes.fromhex(report.decode()), "chain": chain}, _RECORDED_AT, "recorded")


def _intel(kind: str) -> Case:
    from controlplane.attestation.dcap.quotes import read_quote
    from controlplane.attestation.verifiers.sgx import SgxVerifier
    from controlplane.attestation.verifiers.tdx import TdxVerifier

    opens: Callable[[Anchors], Verifier] = SgxVerifier if kind == "sgx" else TdxVerifier
    quote, collateral = _recorded(f"dcap/{kind}_quote"), _recorded(f"dcap/{kind}_quote_collateral.json")
    if quote is None or collateral is None:
        intel = _made("making_intel").Intel()
        evidence = {"quote": intel.quote(kind, bytes(64)), "collateral": intel.collateral(kind)}
        return Case(opens(intel.anchors), evidence, _made("making_intel").AT, "made")
    anchors = Anchors({"intel": [read_quote(quote).chain[-1]]})
    return Case(opens(anchors), {"quote": quote, "collateral": collateral}, _RECORDED_AT, "recorded")


def _tpm() -> Case:
    from controlplane.attestation.verifiers.tpm import TpmVerifier

    found = _recorded("tpm/tpm_evidence.json")
    if found is None:
        making = _made("tpm.making")
        rsa = importlib.import_module("cryptography.hazmat.primitives.asymmetric.rsa")
        tpm = making.Emulated(rsa.generate_private_key(65537, 2048), making.elliptic())
        verifier = TpmVerifier({}, {"made": [tpm.ak_name.hex()]})
        return Case(verifier, tpm.evidence(hashlib.sha256(b"a challenge").digest()), making.NOW, "made")
    told = json.loads(found)
    quote, key = told["tpm_quote"], base64.b64decode(told["ak_public"])
    evidence = {
        "quote": base64.b64decode(quote["message"]),
        "signature": base64.b64decode(quote["signature"]),
        "pcrs": bytes.fromhex("".join(quote["pcrs"])),
        "ak_key": key,
    }
    verifier = TpmVerifier({}, {"recorded": [hashlib.sha256(key).hexdigest()]})
    return Case(verifier, evidence, _RECORDED_AT, "recorded")


def _eat(form: str) -> Case:
    from controlplane.attestation.eat.keys import listed
    from controlplane.attestation.verifiers.eat import EatVerifier
    from controlplane.jose.keys import to_public

    making = _made("making_eat")
    key = making.ec_key()
    verifier = EatVerifier(Anchors({}), listed({"bench": to_public(key.public_key())}))
    token = making.jwt(key) if form == "jwt" else making.cwt_of(key)
    return Case(verifier, {"token": token}, _made("making_chains").AT, "made")


def _urlsafe(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


CASES: dict[str, Callable[[], Case]] = {
    "tpm": _tpm,
    "sgx": lambda: _intel("sgx"),
    "tdx": lambda: _intel("tdx"),
    "snp": _snp,
    "azure": _azure,
    "nitro": _nitro,
    "nvidia": _nvidia,
    "eat_jwt": lambda: _eat("jwt"),
    "eat_cwt": lambda: _eat("cwt"),
}
"""By kind of evidence, and of its two forms where it has two."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nExample: python -m benchmarks.confidential_evidence --runs 5 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=25, help="verifications of each kind")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    found = measure(given.runs)
    if given.json:
        print(json.dumps(found))
        return
    for kind, milliseconds in found["verify_ms"].items():
        print(f"{kind}: {milliseconds:.3f} ms ({found['evidence'][kind]})")


if __name__ == "__main__":
    main()
