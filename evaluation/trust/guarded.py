"""A cell on guard: enrolled devices, a control plane with OPA, screened updates, judged behaviour, ruling policy."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.guard import Guard, Ruling
from adapters.member import Member
from adapters.pytorch import GuardedRound
from adapters.rollback import moved
from controlplane.contracts.behaviour import BehaviourState
from evaluation.demo.fleet import enrolled, home
from evaluation.demo.plane import serving
from evaluation.trust.fields import Field
from evaluation.trust.results import Cell, Guarded, Sighting

MODEL = "smart-home-intents"
AGGREGATOR = "aggregator"

NOT_LET_IN = "not_let_in"
"""The cause where a device had no update to refuse, for it did not get the model."""

UNJUDGED = "unavailable"
"""The guard's cause where the control plane gave no verdict."""


class Unjudged(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane gave no verdict on updates: what comes of the federation says nothing of its judgement."""


@dataclass(frozen=True)
class _Site:
    """The enrolled parties of a federation.

    Attributes:
        guard: of the aggregator.
        members: by device.
    """

    guard: Guard
    members: Mapping[int, Member]


def run_guarded(field: Field, cell: Cell, revision: str) -> Guarded:
    """Train the federation of a cell, whose updates a control plane of its own judges, and judge the final model.

    Raises:
        PlaneFailed: the control plane did not start.
        ControlPlaneError: it does not answer.
        Unjudged: it gave no verdict on some round.
    """
    began = time.monotonic()
    with _site(field.task.devices) as site:
        run = _Run(field, cell, site)
        for turn in range(1, field.plan.rounds + 1):
            run.round(turn)
    worth = run.bench.worth(run.state)
    return Guarded(
        cell=cell,
        revision=revision,
        seconds=round(time.monotonic() - began, 1),
        accuracy=worth.accuracy,
        attack_success=worth.attack_success,
        attack_successes=run.attack_successes,
        rollbacks=run.rollbacks,
        sightings=run.sightings,
    )


@contextmanager
def _site(devices: int) -> Iterator[_Site]:
    """A control plane that knows nobody else, and everybody enrolled at it."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ztfm-", ignore_cleanup_errors=True))
        plane = stack.enter_context(serving(Path(name)))()
        fleet = enrolled(plane, Path(name) / "parties", devices)
        members = {device: stack.enter_context(fleet.member(home(device))) for device in range(devices)}
        guard = Guard.open(
            fleet.folder / "aggregator",
            audience=AGGREGATOR,
            model=MODEL,
            members=[member.id for member in members.values()],
            archive=Path(name) / "archive",
        )
        yield _Site(stack.enter_context(guard), members)


class _Run:
    """One federation, round by round."""

    def __init__(self, field: Field, cell: Cell, site: _Site) -> None:
        self._field, self._cell, self._site = field, cell, site
        self.bench, self._cohort = field.benched(cell.scenario)
        self.state = self.bench.initial()
        self.attack_successes: list[float] = []
        self.rollbacks: list[int] = []
        self.sightings: list[Sighting] = []
        self._states: dict[int, BehaviourState] = {}

    def round(self, turn: int) -> None:
        """Whoever may pulls, trains and submits; what is accepted moves the state."""
        members, guard, rate = self._site.members, self._site.guard, self._field.plan.server_rate
        with GuardedRound(guard, self.state, list(members.values()), server_rate=rate) as guarded:
            allowed = {member.id for member in guarded.allowed()}
            devices = [device for device, member in members.items() if member.id in allowed]
            for device, update in self._cohort.updates(guarded.state, turn, devices).items():
                guarded.submit(members[device], update, len(self._field.task.shards[device]))
            self.state = guarded.aggregate(self.bench.reference(guarded.state, turn))
            self._note(turn, guarded)

    def _note(self, turn: int, guarded: GuardedRound) -> None:
        """What is known of the round, and how well the attack did before anything was rolled back."""
        report, gated = self._site.guard.latest(), guarded.gated
        self._see(turn, {} if gated is None else {one.subject: one for one in gated.rulings})
        moved_to = self.state
        if report is not None and gated is not None and any(one.result.left_out for one in report.rollbacks):
            self.rollbacks.append(turn)
            step = gated.aggregate(report.aggregation) or {}
            moved_to = moved(guarded.state, step, self._field.plan.server_rate)
        self.attack_successes.append(self.bench.attack_success(moved_to))

    def _see(self, turn: int, rulings: Mapping[str, Ruling]) -> None:
        if any(ruling.cause == UNJUDGED for ruling in rulings.values()):
            raise Unjudged(f"{self._cell}, round {turn}: the control plane gave no verdict; see its log")
        for device, member in self._site.members.items():
            ruling = rulings.get(member.id)
            verdict = ruling.verdict if ruling else None
            if verdict is not None and verdict.state is not None:
                self._states[device] = verdict.state
            attribution = verdict.attribution if verdict else None
            self.sightings.append(
                Sighting(
                    turn=turn,
                    device=device,
                    is_attacking=self._cohort.is_attacking(device, turn),
                    accepted=ruling is not None and ruling.accepted,
                    cause=ruling.cause if ruling else NOT_LET_IN,
                    state=self._states.get(device),
                    p_value=verdict.p_value if verdict else None,
                    attack=attribution.attack if attribution else None,
                    sentence=attribution.sentence if attribution else "",
                )
            )
