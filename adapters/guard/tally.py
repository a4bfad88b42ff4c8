"""Count what happens in rounds until they end."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from adapters.guard.reports import MOST_DROPS, Drop, GuardReport, Point, RolledBack, RoundReport
from adapters.guard.rulings import Gated
from adapters.guard.summing import GroupServer, Summed
from adapters.secureaggregation.errors import Aborted
from controlplane.contracts.decision import Aggregation

_OPEN_ROUNDS = 64


@dataclass
class _UnderWay:
    """A round that has not ended."""

    members: int = 0
    aggregation: Aggregation = "mean"
    pulled: int = 0
    drops: list[Drop] = field(default_factory=list)
    dropped: Counter[tuple[Point, str]] = field(default_factory=Counter)


class Tally:
    """Keeps a report for each round under way, and hands it to the guard's report when the round was gated.

    Args:
        report: of the guard.
        clock: Unix seconds.
    """

    def __init__(self, report: GuardReport, clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._open: OrderedDict[str, _UnderWay] = OrderedDict()

    def begin(self, round_id: str, members: int, aggregation: Aggregation) -> None:
        """A round was opened."""
        self._report.opened += 1
        while len(self._open) >= _OPEN_ROUNDS:
            self._open.popitem(last=False)
        self._open[round_id] = _UnderWay(members, aggregation)

    def pulled(self, round_id: str) -> None:
        """A pull was allowed."""
        found = self._open.get(round_id)
        if found is not None:
            found.pulled += 1

    def dropped(self, drop: Drop) -> None:
        """Something was left out; of a round, the first are kept, and all are counted."""
        self._report.drops[drop.point, drop.cause] += 1
        found = self._open.get(drop.round_id)
        if found is not None:
            found.dropped[drop.point, drop.cause] += 1
            if len(found.drops) < MOST_DROPS:
                found.drops.append(drop)

    def summed(self, server: GroupServer) -> dict[str, str]:
        """A group's sum came to an end; return which members are not in it without having been refused, and why."""
        found = server.outcome
        summed = found.members if isinstance(found, Summed) else {}
        self._report.sums[found.cause if isinstance(found, Aborted) else "done" if found else "too_few"] += 1
        self._report.summed["summed"] += len(summed)
        self._report.summed["dropped"] += len(server.members) - len(summed)
        cause = "absent" if summed else "no_sum"
        return {name: cause for name in server.members if name not in summed and name not in server.refused}

    def end(self, round_id: str, gated: Gated) -> None:
        """A round was gated."""
        found = self._open.pop(round_id, None) or _UnderWay()
        verdicts = {ruling.subject: ruling.verdict for ruling in gated.rulings if ruling.verdict is not None}
        accepted = gated.accepted
        self._report.gated += 1
        self._report.gated_at = self._clock()
        self._report.rounds.append(
            RoundReport(
                round_id,
                found.members,
                pulled=found.pulled,
                submitted=len(gated.rulings),
                accepted=len(accepted),
                clipped=sum(ruling.scale < 1.0 for ruling in accepted),
                quarantined=tuple(subject for subject, verdict in verdicts.items() if verdict.quarantined),
                drops=tuple(found.drops),
                verdicts=verdicts,
                aggregation=found.aggregation,
                dropped=dict(found.dropped),
            )
        )

    def rolled_back(self, round_id: str, done: Sequence[RolledBack]) -> None:
        """Orders were carried out after a round that was gated."""
        for one in done:
            self._report.rollbacks[one.result.state] += 1
        last = self._report.rounds[-1] if self._report.rounds else None
        if last is not None and last.round_id == round_id:
            self._report.rounds[-1] = replace(last, rollbacks=tuple(done))
