"""To whose key an update is sealed: that of the round's aggregator, as its fresh evidence binds it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from controlplane.contracts.attestation import ReleaseKey, SealTerms
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.identity import AttestationLevel, Device
from controlplane.contracts.rounds import Round
from controlplane.decisions.proven import Results, counting

_RANKS: Mapping[AttestationLevel, int] = {"none": 0, "software": 1, "hardware": 2}


class Rounds(Protocol):
    """Knows rounds; `decisions.rounds` does."""

    async def get(self, round_id: str) -> Round | None:
        """Return a round, or none."""
        ...


class Subjects(Protocol):
    """Knows registered subjects; `identity.registry` does."""

    async def get(self, device_id: str) -> Device | None:
        """Return a subject, or none."""
        ...


class Recipients:
    """Finds the keys that updates are sealed to.

    Args:
        rounds: says who aggregates.
        subjects: how they stand.
        results: of their evidence.
        clock: Unix seconds.
    """

    def __init__(self, rounds: Rounds, subjects: Subjects, results: Results, clock: Callable[[], float]) -> None:
        self._rounds = rounds
        self._subjects = subjects
        self._results = results
        self._clock = clock

    async def key_for(self, round_id: str | None, terms: SealTerms) -> ReleaseKey | None:
        """Return the key of a round's aggregator; none where no evidence of it is as is asked.

        That evidence is as strong, as fresh, and of one of the reference values that the terms name.

        Args:
            round_id: of the round.
            terms: what policy asks of the aggregator's platform.
        """
        found = None if round_id is None else await self._rounds.get(round_id)
        aggregator = None if found is None else await self._subjects.get(found.opened_by)
        if aggregator is None or aggregator.status != "active":
            return None
        now = self._clock()
        results = counting(await self._results.of(aggregator.id), now)
        fit = [one for one in results.values() if _does(one, terms, now)]
        best = max(fit, key=lambda one: (_RANKS[one.level], one.verified_at), default=None)
        return None if best is None else best.release_key


def _does(result: KeptResult, terms: SealTerms, now: float) -> bool:
    return (
        result.release_key is not None
        and _RANKS[result.level] >= _RANKS[terms.level]
        and now - result.verified_at <= terms.age_seconds
        and result.reference in terms.references
    )
