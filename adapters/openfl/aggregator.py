"""OpenFL's aggregator, guarded: weights leave on a pull that held, and accepted results alone reach it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openfl.component.aggregator.aggregator import Aggregator
from openfl.interface.aggregation_functions import WeightedAverage
from openfl.protocols.base_pb2 import NamedTensor
from openfl.utilities import TaskResultKey, TensorKey
from torch import Tensor

from adapters.guard import Guard
from adapters.openfl.desk import Desk, Taking
from adapters.openfl.gating import Gating, Ruled
from adapters.openfl.messages import QUESTION, packed, ticket_of
from adapters.openfl.opening import Opening, OpenRound
from adapters.openfl.report import write
from adapters.openfl.settings import GuardSettings
from adapters.openfl.tensors import AGGREGATED, DELTA, ENCODED, MODEL, Array, tensors_of
from adapters.rollback import Recipe, moved

_log = logging.getLogger("ztfm.guard")


class GuardedAggregator(Aggregator):  # type: ignore[misc] # openfl is read without its types
    """Name it in ``plan.yaml`` in the place of OpenFL's aggregator.

    OpenFL's server calls it from its threads; a thread of its own leads through the rounds. Nothing is raised for what
    a collaborator does. What this side does wrong ends the federation, with the fault.

    Args:
        guard: `GuardSettings` as a mapping.
        settings: of OpenFL's aggregator.

    Raises:
        ValueError: the plan has something that cannot be guarded.
        FileNotFoundError: no aggregator was enrolled.
    """

    def __init__(self, *, guard: Mapping[str, Any], **settings: Any) -> None:
        self._settings = GuardSettings(**guard)
        _refuse(self._settings, settings)
        self._desk = Desk()
        self._fault: Exception | None = None
        self._thread: threading.Thread | None = None
        self._over_at: float | None = None
        self._round: tuple[OpenRound, Ruled] | None = None
        # OpenFL's default is one list for all aggregators of a process.
        settings["callbacks"] = list(settings.get("callbacks") or [])
        trusted = self._settings.trusted()
        super().__init__(**settings)
        self.guard: Guard = self._settings.opened()
        self._opening = Opening(self.guard, self._desk, self.authorized_cols, self._settings)
        self._gating = Gating(self.guard, self._desk, self.tensor_codec, self._settings, trusted)

    def get_tasks(self, collaborator_name: str) -> tuple[list[str] | None, int, int, bool]:
        """Return a question for a collaborator, or its tasks once its pull held, or that it is to wait or to quit."""
        with self.lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ztfm-rounds", daemon=True)
                self._thread.start()
        if self._fault is not None or self._time_to_quit():
            self.quit_job_sent_to.append(collaborator_name)
            return None, self.round_number, 0, True
        is_asked, tasks = self._desk.seen(collaborator_name)
        if is_asked:
            return [QUESTION], self.round_number, 0, False
        if tasks:
            self.straggler_handling_policy.start_policy(callback=self._straggler_cutoff_time_elapsed)
            return tasks, self.round_number, 0, False
        return None, self.round_number, self._settings.poll_seconds, False

    def get_aggregated_tensor(
        self,
        tensor_name: str,
        round_number: int,
        report: bool,
        tags: Sequence[str],
        require_lossless: bool,
        requested_by: str,
    ) -> NamedTensor:
        """Return a question, or a tensor of the round's weights to whose pull held; to others an empty one."""
        if tensor_name == QUESTION:
            return packed(self._desk.question(requested_by))
        ticket, plain = ticket_of(tags)
        kept = tuple(tag for tag in plain if tag not in ENCODED)
        key = TensorKey(tensor_name, self.uuid, round_number, False, (AGGREGATED,) if DELTA in kept else kept)
        is_weight = not report and sorted(kept) in ([MODEL], [AGGREGATED, DELTA])
        if (
            not self._desk.may_receive(requested_by, round_number, ticket)
            or not is_weight
            or self.tensor_db.get_tensor_from_cache(key) is None
        ):
            # OpenFL looks for what is not there for a minute, with one of its eight threads.
            _log.info("%s is not given the tensor %r of round %d", requested_by, tensor_name[:64], round_number)
            return NamedTensor()
        return super().get_aggregated_tensor(tensor_name, round_number, report, plain, require_lossless, requested_by)

    def send_local_task_results(
        self, collaborator_name: str, round_number: int, task_name: str, data_size: int, named_tensors: Sequence[Any]
    ) -> None:
        """Take in an answer, or results until the round is over; what is neither is passed over."""
        if task_name == QUESTION:
            self._desk.answer(collaborator_name, named_tensors)
        elif not self._desk.result(collaborator_name, round_number, task_name, data_size, named_tensors):
            _log.info("results of %s for %r are not waited for", collaborator_name, task_name[:64])

    def process_task_results(self, collaborator_name: str, *given: Any) -> None:
        """Pass over results that an unguarded run kept and that were never judged: the round begins once more."""
        _log.warning("results of %s from an earlier run were never judged: they are left out", collaborator_name)

    def all_quit_jobs_sent(self) -> bool:
        """Whether the aggregator may end: everybody heard that it is over, or had the time to.

        Raises:
            RuntimeError: something of this side's went wrong.
        """
        if self._fault is not None:
            raise RuntimeError(f"the guarded federation came to an end before its time: {self._fault}") from self._fault
        over_at = self._over_at
        if over_at is None:
            return False
        return bool(super().all_quit_jobs_sent()) or time.monotonic() - over_at > self._settings.linger_seconds

    def stop(self, failed_collaborator: str | None = None) -> None:
        """As OpenFL's, at once."""
        super().stop(failed_collaborator)
        self._over_at = self._over_at or time.monotonic()

    def model_of(self, round_number: int) -> dict[str, Array]:
        """Return the weights that a round begins with; none of those that are not there yet."""
        keys = {
            name: TensorKey(name, self.uuid, round_number, False, (MODEL,))
            for name in (tensor.name for tensor in self.model.tensors)
        }
        found = {name: self.tensor_db.get_tensor_from_cache(key) for name, key in keys.items()}
        return {name: array for name, array in found.items() if array is not None}

    def _end_of_round_with_stragglers_check(self) -> None:
        """Have the round's thread look whether the plan's policy ends the round: no other thread ends one."""
        self._desk.nudge()

    def _run(self) -> None:
        try:
            while not self._time_to_quit():
                self._one_round()
        except Exception as error:  # noqa: BLE001 - it is raised in OpenFL's own thread, and ends the federation
            _log.exception("the guarded federation ends in round %s", self.round_number)
            self._fault = error
        finally:
            self._over_at = time.monotonic()
            self.guard.close()

    def _one_round(self) -> None:
        number = self.round_number
        sent = tensors_of(self.model_of(number))
        opened = self._opening.open(sent, f"round-{number}")
        if opened is not None:
            taking = self._taken(opened, number)
            ruled = self._gating.rule(opened, taking)
            self._round = opened, ruled
            together = self._together(opened, ruled)
            for one in self._gating.again(opened, taking, ruled, together):
                super().process_task_results(one.name, number, one.task, one.weight, one.tensors)
        with self.lock:
            self._end_of_round_check()
        self._round = None
        write(self.guard, Path(self.last_state_path).parent)

    def _taken(self, opened: OpenRound, number: int) -> Taking:
        tasks = {name: self._tasks_of(name, number) for name in opened.tickets}
        taking = Taking(number, opened.tickets, tasks)
        self._desk.take(taking, self._is_enough, self._settings.duration_seconds)
        return taking

    def _tasks_of(self, name: str, number: int) -> list[str]:
        found = self.assigner.get_tasks_for_collaborator(name, number)
        return [getattr(task, "name", task) for task in found]

    def _is_enough(self, done: int, members: int) -> bool:
        return bool(self.straggler_handling_policy.straggler_cutoff_check(done, members))

    def _together(self, opened: OpenRound, ruled: Ruled) -> Mapping[str, Tensor] | None:
        """Return what the updates become where policy says how, or the plan says no more than the mean."""
        function = self.assigner.get_aggregation_type_for_task(self._settings.training_task)
        is_plain = function is None or type(function) is WeightedAverage
        step = ruled.gated.aggregate(opened.sealed.aggregation)
        if step is None or (opened.sealed.aggregation == "mean" and not is_plain):
            return None
        return moved(opened.sent, step)

    def _compute_validation_related_task_metrics(self, task_name: str) -> dict[str, float]:
        """Aggregate what was accepted of a task; when nothing was, the model stays as it is."""
        number = self.round_number
        everybody = self.assigner.get_collaborators_for_task(task_name, number)
        done = [name for name in everybody if TaskResultKey(task_name, name, number) in self.collaborator_tasks_results]
        self.collaborators_done = done
        found: dict[str, float] = super()._compute_validation_related_task_metrics(task_name) if done else {}
        if task_name == self._settings.training_task:
            if not done:
                self._become(number + 1, self.model_of(number))
            self._keep(number)
        return found

    def _keep(self, number: int) -> None:
        """Archive the round, and begin the next one without what is ordered to be undone."""
        if self._round is None:
            return
        opened, ruled = self._round
        after = tensors_of(self.model_of(number + 1))
        if ruled.accepted:
            recipes = [Recipe(method=opened.sealed.aggregation)]
            self.guard.record(opened.sealed, ruled.gated, opened.sent, after, recipes)
        state = self.guard.rollback(after)
        if state is not None:
            self._become(number + 1, {name: tensor.numpy() for name, tensor in state.items()})

    def _become(self, number: int, arrays: Mapping[str, Array]) -> None:
        """Have a round begin with these weights, whatever it would have begun with."""
        weights = {(MODEL,), (AGGREGATED,)}
        database = self.tensor_db
        with database.mutex:
            rows = database.tensor_db
            gone = (rows["round"] == number) & rows["tags"].map(lambda tags: tuple(tags) in weights)
            database.tensor_db = rows[~gone].reset_index(drop=True)
        database.cache_tensor(
            {
                TensorKey(name, self.uuid, number, False, tags): array
                for name, array in arrays.items()
                for tags in sorted(weights)
            }
        )
        self.next_model_round_number = number


_UNGUARDED: Mapping[str, Callable[[Any], bool]] = {
    "secure_aggregation": bool,
    "connector": lambda connector: connector is not None,
    "compression_pipeline": lambda pipeline: pipeline is not None and pipeline.is_lossy(),
}
_WHY = {
    "secure_aggregation": "masked updates cannot be screened: set secure_aggregation to false",
    "connector": "what another framework sends is not seen: guard that framework instead, and leave the connector out",
    "compression_pipeline": "a lossy pipeline has collaborators train on other weights than those that were sealed: "
    "use openfl.pipelines.NoCompressionPipeline",
}


def _refuse(guard: GuardSettings, settings: Mapping[str, Any]) -> None:
    for name, is_unguarded in _UNGUARDED.items():
        if is_unguarded(settings.get(name)):
            raise ValueError(f"this plan cannot be guarded: {_WHY[name]}")
    assigner = settings["assigner"]
    if guard.training_task not in assigner.get_all_tasks_for_round(0):
        raise ValueError(
            f"this plan cannot be guarded: no task {guard.training_task!r} is assigned; name the one whose results are "
            "updates as guard.training_task"
        )
    if guard.archive is not None and settings.get("use_delta_updates", True):
        raise ValueError(
            "rounds cannot be done again bit for bit from differences: with guard.archive, set use_delta_updates to "
            "false for the aggregator and the collaborators"
        )
