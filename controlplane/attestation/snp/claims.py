"""A verified report in the words that all kinds of evidence share."""

from dataclasses import dataclass

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.reporting import bound_of
from controlplane.attestation.snp.endorsement import Endorsement
from controlplane.attestation.snp.report import VCEK, Report
from controlplane.attestation.snp.tcb import read_tcb
from controlplane.contracts.attestation import Claims

_MAX_VERSION = 1_000_000_000

_PLATFORM = {"smt": 0, "tsme": 1, "ecc": 2, "rapl_disabled": 3, "ciphertext_hiding": 4, "alias_check": 5, "tio": 7}
"""Bits of the platform's configuration (ABI table of PLATFORM_INFO)."""

_POLICY = {"smt_allowed": 16, "migratable": 18, "single_socket": 20, "cxl_allowed": 21}
"""Bits of the guest's policy (ABI table of the guest policy). That of debugging is `Claims.debug`."""


@dataclass(frozen=True)
class Verified:
    """A report that verifies, and who vouches for it.

    Attributes:
        report: with a signature of the endorsed key.
        endorsement: of that key.
        anchor: name of the root that vouches for the endorsement.
        has_list: whether the root's list of revoked certificates was looked at.
    """

    report: Report
    endorsement: Endorsement
    anchor: str
    has_list: bool


def claims_of(verified: Verified) -> Claims:
    """Return what a verified report says.

    ``bound`` is the report data without the zeros that fill it where these are its second half, else all of it. The
    platform is the chip; where a provider's key signed and the chip is masked, it is the guest while it lives.

    Raises:
        EvidenceRefused: ``unsupported``: a number is larger than claims may have.
    """
    report = verified.report
    if report.guest_svn > _MAX_VERSION:
        raise EvidenceRefused("unsupported", f"the guest's security version is above {_MAX_VERSION}")
    return Claims(
        kind="snp",
        anchor=verified.anchor,
        platform=(report.report_id if report.has_masked_chip else report.chip_id).hex(),
        bound=bound_of(report.report_data).hex(),
        debug=report.is_debugged,
        status="unstated",
        measurements=_measurements(report),
        versions=_versions(report, verified.endorsement.product),
        attributes=_attributes(report, verified.endorsement, verified.has_list),
        advisories=[],
    )


def _measurements(report: Report) -> dict[str, str]:
    digests = {"measurement": report.measurement, "host_data": report.host_data}
    if any(report.id_key_digest):
        digests["id_key_digest"] = report.id_key_digest
    if report.has_author:
        digests["author_key_digest"] = report.author_key_digest
    return {name: digest.hex() for name, digest in digests.items()}


def _versions(report: Report, product: str) -> dict[str, int]:
    versions = {"report": report.version, "guest_svn": report.guest_svn}
    kinds = {
        "tcb": report.reported_tcb,
        "current_tcb": report.current_tcb,
        "committed_tcb": report.committed_tcb,
        "launch_tcb": report.launch_tcb,
    }
    for kind, raw in kinds.items():
        versions.update({f"{kind}_{part}": number for part, number in read_tcb(raw, product).items()})
    return versions


def _attributes(report: Report, endorsement: Endorsement, has_list: bool) -> dict[str, str]:
    found = {
        "product": endorsement.product.lower(),
        "signing_key": "vcek" if endorsement.kind == VCEK else "vlek",
        "chip_id": "masked" if report.has_masked_chip else "shown",
        "revocation": "checked" if has_list else "unchecked",
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "report_id": report.report_id.hex(),
        "vmpl": str(report.vmpl),
        "policy": f"{report.policy:016x}",
        "policy_abi": f"{report.policy >> 8 & 255}.{report.policy & 255}",
        "platform_info": f"{report.platform_info:016x}",
        "migration_agent": _word(report.has_agent),
        "firmware": ".".join(map(str, report.current_firmware)),
        "committed_firmware": ".".join(map(str, report.committed_firmware)),
    }
    found.update({name: _word(bool(report.platform_info >> bit & 1)) for name, bit in _PLATFORM.items()})
    found.update({name: _word(bool(report.policy >> bit & 1)) for name, bit in _POLICY.items()})
    if endorsement.provider:
        found["provider"] = endorsement.provider
    if report.current_mitigations is not None:
        found["launch_mitigations"] = f"{report.launch_mitigations or 0:016x}"
        found["current_mitigations"] = f"{report.current_mitigations:016x}"
    return found


def _word(value: bool) -> str:
    return "true" if value else "false"
