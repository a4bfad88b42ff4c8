"""Azure confidential virtual machines: firmware below the guest has an SEV-SNP report, which vouches for a virtual TPM.

The TPM's quote says what the guest booted.
"""

from collections.abc import Mapping
from pathlib import Path

from controlplane.attestation.certificates import MAX_BYTES
from controlplane.attestation.hcl import MAX_REPORT, check_runtime, parse_hcl
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.snp.claims import claims_of
from controlplane.attestation.tpm.quote import (
    MAX_MESSAGE,
    Quote,
    check_pcrs,
    parse_quote,
    split_pcrs,
    verify_signature,
)
from controlplane.attestation.tpm.signatures import MAX_SIGNATURE
from controlplane.attestation.verifiers.snp import SnpVerifier
from controlplane.attestation.verifiers.snp import open_verifier as open_snp
from controlplane.contracts.attestation import Claims

_MAX_PCRS = 32 * 48
"""Bytes of all register values that a quote may be of."""


class AzureVerifier:
    """Verifies an HCL report, the certificate of the chip's key, and a quote of the virtual TPM with its registers.

    Args:
        snp: verifies the report of the hardware.
    """

    kind = "azure"
    members: Mapping[str, int] = {
        "hcl_report": MAX_REPORT,
        "certificate": MAX_BYTES,
        "quote": MAX_MESSAGE,
        "signature": MAX_SIGNATURE,
        "pcrs": _MAX_PCRS,
    }

    def __init__(self, snp: SnpVerifier) -> None:
        self._snp = snp

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """Return what the evidence says, as `controlplane.attestation.interface.Verifier.verify`."""
        if evidence.keys() != self.members.keys():
            raise EvidenceRefused("malformed", f"evidence of azure has the members {', '.join(sorted(self.members))}")
        parts = parse_hcl(evidence["hcl_report"])
        hardware = self._snp.examine(parts.hardware, evidence["certificate"], at)
        if hardware.report.vmpl != 0:
            # A guest may have reports of its own made, with any data, at the lower level that it runs at.
            raise EvidenceRefused("unbound", "the report was made by the guest, not by the firmware below it (VMPL 0)")
        runtime = check_runtime(parts, hardware.report.report_data)
        quote = parse_quote(evidence["quote"])
        hashed_with = verify_signature(runtime.attestation_key, evidence["signature"], evidence["quote"])
        pcrs = split_pcrs(quote, evidence["pcrs"])
        check_pcrs(quote, pcrs, hashed_with)
        claims = claims_of(hardware)
        return claims.model_copy(
            update={
                "kind": self.kind,
                "bound": _bound(quote),
                "measurements": claims.measurements | {f"pcr{index}": value.hex() for index, value in pcrs.items()},
                "attributes": claims.attributes | runtime.attributes | {"bank": quote.bank},
            }
        )


def open_verifier(folder: Path) -> AzureVerifier:
    """Return the verifier for the roots of a folder, as `controlplane.attestation.verifiers.snp.open_verifier`.

    Raises:
        RootsInvalid: a file is no such thing.
    """
    return AzureVerifier(open_snp(folder))


def _bound(quote: Quote) -> str:
    if not quote.extra_data:
        raise EvidenceRefused("unbound", "the quote carries nothing of a challenge: the binding is its qualifying data")
    return quote.extra_data.hex()
