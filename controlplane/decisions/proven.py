"""What evidence of a platform proves now, as decisions read it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from controlplane.contracts.attested import KeptResult


class Results(Protocol):
    """Knows what became of devices' evidence; `storage.attestations` does."""

    async def of(self, device: str) -> Sequence[KeptResult]:
        """Return what became of the latest evidence of each kind that a device showed."""
        ...


def counting(results: Sequence[KeptResult], now: float) -> Mapping[str, KeptResult]:
    """Return those results that prove anything at ``now`` (Unix seconds), by kind of evidence."""
    return {
        one.kind: one
        for one in results
        if one.level != "none" and one.verified_at <= now < one.expires_at and one.reference
    }


def result_facts(result: KeptResult, now: float) -> dict[str, Any]:
    """Return the `ProvenFact` of a result that counts at ``now`` (Unix seconds)."""
    return {
        "level": result.level,
        "reference": result.reference,
        "age_seconds": max(0.0, now - result.verified_at),
    }
