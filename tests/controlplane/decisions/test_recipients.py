from typing import Any

import pytest

from controlplane.contracts.attestation import ReleaseKey, SealTerms
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.identity import Device
from controlplane.contracts.rounds import Round
from controlplane.decisions.recipients import Recipients

NOW = 1_767_225_600.0
KEY = ReleaseKey(suite="x25519", key="A" * 43)
OTHER = ReleaseKey(suite="x25519", key="B" * 43)
TERMS = SealTerms(level="software", age_seconds=600.0, references=["aggregators", "gateways"])


def result(**changes: Any) -> KeptResult:
    known = {
        "kind": "tpm",
        "level": "software",
        "reference": "gateways",
        "platform": "aa",
        "verified_at": NOW - 60.0,
        "expires_at": NOW + 60.0,
        "release_key": KEY,
        "decision_id": "dec-1",
        "result": "signed",
    }
    return KeptResult(**{**known, **changes})


class Known:
    """A round, its aggregator and what that has proven."""

    def __init__(self, *results: KeptResult, status: str = "active") -> None:
        self.results = results
        self.status = status

    async def get(self, name: str) -> Any:
        if name == "round-1":
            return Round.model_construct(id=name, opened_by="dev-a")
        return Device.model_construct(id=name, status=self.status) if name == "dev-a" else None

    async def of(self, device: str) -> Any:
        return self.results if device == "dev-a" else ()


async def key_for(known: Known, round_id: str | None = "round-1", terms: SealTerms = TERMS) -> ReleaseKey | None:
    return await Recipients(known, known, known, lambda: NOW).key_for(round_id, terms)


async def test_updates_are_sealed_to_the_key_that_fresh_evidence_of_the_aggregator_binds() -> None:
    assert await key_for(Known(result())) == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"level": "none", "reference": ""},
        {"verified_at": NOW - 601.0},
        {"verified_at": NOW + 1.0},
        {"expires_at": NOW},
        {"release_key": None},
        {"reference": "sensors"},
    ],
    ids=["unproven", "old", "of the future", "expired", "without a key", "of another program"],
)
async def test_other_evidence_binds_none(changes: dict[str, Any]) -> None:
    assert await key_for(Known(result(**changes))) is None


async def test_the_strongest_evidence_counts_then_the_newest() -> None:
    weak, strong = result(kind="eat", release_key=OTHER, verified_at=NOW - 1.0), result(level="hardware")
    assert await key_for(Known(weak, strong)) == KEY
    assert await key_for(Known(result(kind="eat", release_key=OTHER), result(verified_at=NOW - 1.0))) == KEY
    terms = TERMS.model_copy(update={"level": "hardware"})
    assert await key_for(Known(weak), terms=terms) is None


async def test_without_a_round_or_an_active_aggregator_there_is_no_key() -> None:
    assert await key_for(Known(result()), None) is None
    assert await key_for(Known(result()), "round-2") is None
    for status in ("quarantined", "revoked"):
        assert await key_for(Known(result(), status=status)) is None


async def test_an_unproven_platform_never_does() -> None:
    terms = TERMS.model_copy(update={"level": "none"})
    assert await key_for(Known(result(level="none", reference="")), terms=terms) is None


async def test_a_stronger_and_newer_result_of_another_program_takes_nobodys_place() -> None:
    foreign = result(kind="snp", level="hardware", reference="sensors", release_key=OTHER, verified_at=NOW)
    assert await key_for(Known(foreign, result())) == KEY
    assert await key_for(Known(result()), terms=SealTerms(level="software", age_seconds=600.0)) is None
