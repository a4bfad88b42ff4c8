"""One federation of a cell: rounds of training and aggregation, what became of everybody, and what it cost."""

import resource
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import fmean, median

from torch import Tensor

from evaluation.comparison.cells import Cell
from evaluation.comparison.interfaces import Aggregated, Decided, Deciding, Defence, Learning, Received, State, Update
from evaluation.comparison.results import Result, Sighting


class Diverged(Exception):  # noqa: N818 - a state, as callers see it
    """A defence returned what is no state of the model."""


@dataclass
class _Spent:
    """What a defence took.

    Attributes:
        milliseconds: of each round, on the wall clock.
        cpu_seconds: in this process.
    """

    milliseconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


def federate(
    cell: Cell,
    learning: Learning,
    made: AbstractContextManager[Defence],
    revision: str,
    *,
    with_reference: bool = True,
) -> Result:
    """Train the federation of a cell to its end and judge the final model.

    Args:
        cell: which.
        learning: its task under its attack.
        made: opens its defence, which is closed at the end.
        revision: that the result is kept under.
        with_reference: the defence has what the server's own trusted examples yield; training that counts as its cost.

    Raises:
        Diverged: the defence returned tensors that do not fit the state.
    """
    began, cpu_began, children_began = time.monotonic(), time.process_time(), _children()
    with made as defence:
        opened = time.process_time()
        run = _Run(learning, defence, with_reference)
        for turn in range(1, learning.rounds + 1):
            run.round(turn)
        trained = time.process_time()
        decided = defence.decided() if isinstance(defence, Deciding) else Decided(0, 0.0)
    # What ran beside this process is counted once it has ended.
    beside = _children() - children_began
    spent = run.spent.cpu_seconds + (opened - cpu_began) + (time.process_time() - trained) + beside
    worth = learning.worth(run.state)
    return Result(
        cell=cell,
        revision=revision,
        accuracy=worth.accuracy,
        attack_success=worth.attack_success,
        worst_client=worth.worst_client,
        peak_attack_success=max([*run.before_rollbacks, worth.attack_success]),
        undone=run.undone,
        bytes_a_round=fmean(run.bytes_sent),
        updates_a_round=fmean(run.updates_sent),
        aggregation_ms=round(median(run.spent.milliseconds), 3),
        decisions_a_round=decided.count / learning.rounds,
        decision_ms=round(1000.0 * decided.seconds / decided.count, 3) if decided.count else None,
        defence_cpu_seconds=round(spent, 3),
        cpu_seconds=round(time.process_time() - cpu_began + beside, 3),
        wall_seconds=round(time.monotonic() - began, 3),
        sightings=run.sightings,
    )


class _Run:
    """One federation, round by round."""

    def __init__(self, learning: Learning, defence: Defence, with_reference: bool) -> None:
        self._learning, self._defence, self._with_reference = learning, defence, with_reference
        self.state: State = learning.initial()
        self.spent = _Spent()
        self.bytes_sent: list[int] = []
        self.updates_sent: list[int] = []
        self.before_rollbacks: list[float] = []
        self.undone = 0
        self.sightings: list[Sighting] = []
        self._history: list[dict[int, dict[str, Tensor]]] = []
        self._apart: frozenset[int] = frozenset()

    def round(self, turn: int) -> None:
        """Whoever does not stand apart trains and sends; what the defence makes of it moves the state."""
        learning, defence = self._learning, self._defence
        asked = [device for device in range(learning.devices) if device not in self._apart]
        sent = learning.sent(self.state, turn, asked) if asked else {}
        self.updates_sent.append(len(sent))
        self.bytes_sent.append(sum(_bytes(update) for update in sent.values()))
        cpu = time.process_time()
        reference = learning.reference(self.state, turn) if self._with_reference else None
        received = Received(
            turn=turn,
            state=self.state,
            updates=sent,
            examples={device: learning.examples(device) for device in sent},
            reference=reference,
            history=tuple(self._history),
        )
        wall = time.monotonic()
        aggregated = defence.aggregate(received)
        self.spent.milliseconds.append(1000.0 * (time.monotonic() - wall))
        self.spent.cpu_seconds += time.process_time() - cpu
        self._move(aggregated)
        self._note(turn, aggregated)
        if defence.remembers:
            self._history = [*self._history, sent][-defence.remembers :]

    def _move(self, aggregated: Aggregated) -> None:
        if aggregated.undone:
            self.before_rollbacks.append(self._learning.worth(self.state).attack_success)
        if aggregated.replaced is not None:
            self.state = _fitting(aggregated.replaced, self.state)
        self.undone += aggregated.undone
        if aggregated.step is not None:
            step = _fitting(aggregated.step, self.state)
            rate = self._learning.server_rate
            self.state = {name: value + rate * step[name] for name, value in self.state.items()}

    def _note(self, turn: int, aggregated: Aggregated) -> None:
        kept_out = self._apart | aggregated.refused
        self._apart = aggregated.quarantined
        for device in range(self._learning.devices):
            suspected = aggregated.suspected.get(device)
            self.sightings.append(
                Sighting(
                    turn=turn,
                    device=device,
                    is_attacking=self._learning.is_attacking(device, turn),
                    refused=device in kept_out,
                    quarantined=device in self._apart,
                    suspected=None if suspected is None else float(suspected),
                    named=aggregated.named.get(device),
                )
            )


def _fitting(found: State, state: State) -> dict[str, Tensor]:
    """What was found as float32 tensors of the state.

    Raises:
        Diverged: a tensor is missing, or of another shape.
    """
    try:
        return {name: found[name].to(value.dtype).reshape(value.shape) for name, value in state.items()}
    except (KeyError, RuntimeError) as error:
        raise Diverged(f"the defence returned no state of this model: {error!r}; see interfaces.Aggregated") from error


def _bytes(update: Update) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in update.values())


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
