"""What verifiers say alike: what a report carries of its challenge, and claims that are within their bounds."""

from typing import Any

from pydantic import ValidationError

from controlplane.attestation.binding import BYTES
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.attestation import Claims


def bound_of(report_data: bytes) -> bytes:
    """Return the binding in a report's data: its first 32 bytes where the rest is zero, and all of it otherwise.

    All of it equals no binding, so that whoever compares denies.

    Args:
        report_data: 64 bytes.
    """
    return report_data if any(report_data[BYTES:]) else report_data[:BYTES]


def stated(**parts: Any) -> Claims:
    """Return claims of verified evidence, by the names of their fields.

    Raises:
        EvidenceRefused: ``unsupported``: the evidence says more, or longer things, than claims hold.
    """
    try:
        return Claims(**parts)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"][:1])
        raise EvidenceRefused("unsupported", f"the evidence says more of its {where} than claims hold") from None
