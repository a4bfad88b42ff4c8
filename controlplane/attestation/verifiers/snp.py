"""AMD SEV-SNP: a virtual machine's report, signed by a key of its chip (VCEK) or its provider (VLEK)."""

from collections.abc import Mapping
from pathlib import Path

from controlplane.attestation.certificates import MAX_BYTES, read_certificate
from controlplane.attestation.chains import Anchors, Purpose, load_anchors
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.revocation import RevocationLists, load_lists
from controlplane.attestation.snp.claims import Verified, claims_of
from controlplane.attestation.snp.endorsement import check_endorsed, read_endorsement
from controlplane.attestation.snp.report import BYTES, parse_report, verify_report
from controlplane.contracts.attestation import Claims

_CERTIFICATE = "the certificate of the chip's key"


class SnpVerifier:
    """Verifies a report and the certificate beside it.

    Args:
        anchors: AMD's, each with a root (ARK) and what it signed: for VCEKs (ASK) and for VLEKs (ASVK).
        lists: what the roots revoked, where that is known.
    """

    kind = "snp"
    members: Mapping[str, int] = {"report": BYTES, "certificate": MAX_BYTES}

    def __init__(self, anchors: Anchors, lists: RevocationLists | None = None) -> None:
        self._anchors = anchors
        self._lists = RevocationLists(anchors, {}) if lists is None else lists

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """Return what the evidence says, as `controlplane.attestation.interface.Verifier.verify`."""
        if evidence.keys() != self.members.keys():
            raise EvidenceRefused(
                "malformed", "evidence of snp is a report, and the certificate of the key that signed it"
            )
        return claims_of(self.examine(evidence["report"], evidence["certificate"], at))

    def examine(self, data: bytes, certificate: bytes, at: float) -> Verified:
        """Return a report that verifies, with who vouches for it.

        Args:
            data: the report.
            certificate: of the key that signed it, in DER.
            at: Unix seconds.

        Raises:
            EvidenceRefused: it does not verify.
        """
        report = parse_report(data)
        chain = self._anchors.verify([read_certificate(certificate, _CERTIFICATE)], at, _CERTIFICATE, Purpose())
        has_list = self._lists.check(chain, at)
        endorsement = read_endorsement(chain.certificates[0])
        check_endorsed(report, endorsement)
        verify_report(report, data, endorsement.key)
        return Verified(report, endorsement, chain.anchor, has_list)


def open_verifier(folder: Path) -> SnpVerifier:
    """Return the verifier for the roots of a folder: ``NAME.pem`` of ARK, ASK and ASVK, and lists ``*.crl`` in DER.

    Raises:
        RootsInvalid: a file is no such thing.
    """
    anchors = load_anchors(folder)
    return SnpVerifier(anchors, load_lists(folder, anchors))
