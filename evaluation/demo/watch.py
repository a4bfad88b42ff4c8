"""Follows the guarded run: what each round brought, and, from the decisions on record, what was seen in each update."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.guard import RoundReport
from controlplane.contracts.rounds import UpdateVerdict
from evaluation.demo.fleet import Fleet
from evaluation.demo.outcome import Outcome, RoundFigures, Sighting


@dataclass(frozen=True)
class _Seen:
    turn: int
    verdict: UpdateVerdict


class Watch:
    """Collects a guarded run's rounds.

    Args:
        fleet: who is who.
        hostile: the attack of each hostile device.
    """

    def __init__(self, fleet: Fleet, hostile: Mapping[str, str]) -> None:
        self._fleet = fleet
        self._hostile = hostile
        self._seen: list[_Seen] = []

    def round(self, turn: int, report: RoundReport, outcome: Outcome) -> RoundFigures:
        """Note a round that was gated; return its figures, which are in ``outcome`` from now on."""
        named = [self._fleet.called(subject) for subject in report.quarantined]
        for name in named:
            (outcome.caught if name in self._hostile else outcome.wronged)[name] = turn
        for subject, verdict in report.verdicts.items():
            self._seen.append(_Seen(turn, verdict))
            if verdict.trust is not None:
                outcome.trust[self._fleet.called(subject)] = verdict.trust
        figures = RoundFigures(turn, report.pulled, report.accepted, sum(report.dropped.values()), named)
        outcome.figures.append(figures)
        return figures

    def sightings(self) -> list[Sighting]:
        """What was seen in each update, read as the operator reads it: decision by decision.

        Raises:
            ControlPlaneError: the records cannot be read.
        """
        with self._fleet.member("operator") as operator:
            records = [operator.plane.decision(seen.verdict.decision_id) for seen in self._seen]
        return [self._sighting(seen, record.facts) for seen, record in zip(self._seen, records, strict=True)]

    def _sighting(self, seen: _Seen, facts: Mapping[str, object]) -> Sighting:
        evidence = _within(facts, "context", "evidence")
        attribution = seen.verdict.attribution
        return Sighting(
            turn=seen.turn,
            device=self._fleet.called(seen.verdict.subject),
            accepted=seen.verdict.decision,
            trust=seen.verdict.trust,
            cosine=float(evidence.get("cosine", -1.0)),  # type: ignore[arg-type] # a record of our own, of known shape
            norm_ratio=float(evidence.get("norm_ratio", 0.0)),  # type: ignore[arg-type]
            features=seen.verdict.features,
            reasons=seen.verdict.reasons,
            sentence=attribution.sentence if attribution else "",
        )


def _within(facts: Mapping[str, object], *names: str) -> Mapping[str, object]:
    found: object = facts
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
