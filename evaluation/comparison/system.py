"""The system of this repository as a defence: a control plane with OPA, enrolled devices, an aggregator's guard."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.guard import Guard, Point, RoundReport, Ruling
from adapters.member import Member
from adapters.pytorch import GuardedRound
from evaluation.comparison.interfaces import Aggregated, Decided, Defence, Received
from evaluation.comparison.layers import BY_NAME, OWN, policies_of
from evaluation.demo.counters import decided
from evaluation.demo.fleet import enrolled, home
from evaluation.demo.plane import Plane, serving

MODEL = "smart-home-intents"
"""The shipped policies' entry that any task is trained under: it lets homes train and picks the mean."""

AGGREGATOR = "aggregator"

UNJUDGED = "unavailable"
"""The guard's cause where the control plane gave no verdict."""


NOT_OPENED: tuple[Point, str] = ("seal", "unavailable")
"""What the guard counts where a round could not be opened."""


class Unjudged(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane gave no verdict on updates: what comes of the federation says nothing of its judgement."""


@contextmanager
def guarding(name: str, devices: int, server_rate: float, policies: Path | None = None) -> Iterator[Defence]:
    """Run a control plane that knows nobody else, and enrol everybody at it.

    Args:
        name: of a variant in `evaluation.comparison.layers`, or ``policies`` for an author's own.
        devices: of the federation.
        server_rate: that a step is taken with.
        policies: the author's folder; whatever else, it is the base of none.

    Yields:
        The defence, for one federation.

    Raises:
        PlaneFailed: the control plane did not start; with policies of one's own they may not compile.
        ControlPlaneError: it does not answer.
        ValueError: no folder for policies of one's own.
    """
    if name == OWN and policies is None:
        raise ValueError("no folder of policies: name it with --policies FOLDER")
    with ExitStack() as stack:
        # Connections that were open when a server went are not everybody's to wait for.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ztfm-", ignore_cleanup_errors=True)))
        ruling = policies if name == OWN else policies_of(BY_NAME[name], folder)
        plane = stack.enter_context(serving(folder / "plane", policies=ruling))()
        fleet = enrolled(plane, folder / "parties", devices)
        members = {device: stack.enter_context(fleet.member(home(device))) for device in range(devices)}
        guard = Guard.open(
            fleet.folder / AGGREGATOR,
            audience=AGGREGATOR,
            model=MODEL,
            members=[member.id for member in members.values()],
            archive=folder / "archive",
        )
        yield System(name, stack.enter_context(guard), members, server_rate, plane)


@dataclass
class System:
    """The defence while its control plane runs.

    Attributes:
        name: of the variant.
        guard: of the aggregator.
        members: by device.
        server_rate: that a step is taken with.
        plane: the control plane.
        remembers: 0; the guard's archive does.
    """

    name: str
    guard: Guard
    members: Mapping[int, Member]
    server_rate: float
    plane: Plane
    remembers: int = 0
    _apart: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Leave out what was decided before: enrolments."""
        self._before = decided(self.plane.url, self.plane.metrics_token)

    def decided(self) -> Decided:
        """What its control plane decided for it since everybody was enrolled.

        Raises:
            OSError: the control plane does not answer.
        """
        count, seconds = decided(self.plane.url, self.plane.metrics_token)
        return Decided(count - self._before[0], seconds - self._before[1])

    def aggregate(self, received: Received) -> Aggregated:
        """Have each device pull and submit, each update judged, and what policy orders to be undone undone.

        Raises:
            Unjudged: the control plane gave no verdict on an update.
            ControlPlaneError: it does not answer.
        """
        members, unopened = [self.members[device] for device in received.updates], self.guard.report.drops[NOT_OPENED]
        with GuardedRound(self.guard, received.state, members, server_rate=self.server_rate) as turn:
            allowed = {member.id for member in turn.allowed()}
            for device, update in received.updates.items():
                if self.members[device].id in allowed:
                    turn.submit(self.members[device], update, received.examples[device])
            after = turn.aggregate(received.reference)
        if self.guard.report.drops[NOT_OPENED] > unopened:
            raise Unjudged(f"{self.name}, round {received.turn}: it could not be opened; see the control plane's log")
        rulings = {} if turn.gated is None else {one.subject: one for one in turn.gated.rulings}
        if any(ruling.cause == UNJUDGED for ruling in rulings.values()):
            raise Unjudged(f"{self.name}, round {received.turn}: the control plane gave no verdict; see its log")
        report = self.guard.latest()
        undone = 0 if report is None or turn.gated is None else _undone(report)
        return Aggregated(
            step=None,
            refused=frozenset(device for device in received.updates if not self._is_in(rulings, device)),
            suspected=self._suspected(rulings),
            named=self._named(rulings),
            undone=undone,
            replaced=after,
            quarantined=self._set_apart(rulings),
        )

    def _is_in(self, rulings: Mapping[str, Ruling], device: int) -> bool:
        ruling = rulings.get(self.members[device].id)
        return ruling is not None and ruling.accepted

    def _suspected(self, rulings: Mapping[str, Ruling]) -> dict[int, float]:
        """One less each update's p-value: of those that were measured at all."""
        found = {device: rulings.get(member.id) for device, member in self.members.items()}
        return {
            device: 1.0 - ruling.verdict.p_value
            for device, ruling in found.items()
            if ruling is not None and ruling.verdict is not None and ruling.verdict.p_value is not None
        }

    def _named(self, rulings: Mapping[str, Ruling]) -> dict[int, str]:
        found = {device: rulings.get(member.id) for device, member in self.members.items()}
        return {
            device: ruling.verdict.attribution.attack
            for device, ruling in found.items()
            if ruling is not None
            and ruling.verdict is not None
            and ruling.verdict.attribution is not None
            and ruling.verdict.attribution.attack is not None
        }

    def _set_apart(self, rulings: Mapping[str, Ruling]) -> frozenset[int]:
        """Everybody whom a verdict, of this round or an earlier one, set apart: none is let back within a run."""
        for device, member in self.members.items():
            ruling = rulings.get(member.id)
            if ruling is not None and ruling.verdict is not None and ruling.verdict.state == "quarantined":
                self._apart.add(device)
        return frozenset(self._apart)


def _undone(report: RoundReport) -> int:
    return sum(one.result.rounds for one in report.rollbacks if one.result.left_out)
