"""A guarded controller: the wrapped one samples sites and aggregates; the guard decides who takes part."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType
from nvflare.app_common.workflows.fedavg import FedAvg
from torch import Tensor

from adapters.guard import Gated
from adapters.nvflare.gating import Arrived, gate, replies
from adapters.nvflare.point import GuardPoint, OpenRound
from adapters.nvflare.questions import CARRIED
from adapters.nvflare.weights import in_kind, read_trusted, write
from adapters.rollback import Recipe, moved

Callback = Callable[[FLModel], Any]


@dataclass(frozen=True)
class _Ended:
    """A round that was gated, until the model is updated with what was accepted."""

    opened: OpenRound
    gated: Gated
    together: Mapping[str, Tensor] | None


class Guarded:
    """Name it before any ``ModelController``: the controller then sees accepted results alone.

    Each send of a model is a round: sites are asked who they are and for their right to pull, the model goes to those
    whose pull holds, and the controller is given the results that were accepted once the last one came. A site that is
    refused, fails or does not answer is left out. Where policy has updates brought together otherwise than by their
    mean, each accepted result bears what they became: whatever averages or chooses among them comes to it.

    Example:
        class GuardedMine(Guarded, Mine): ...

    Attributes:
        guard_id: the component that is the job's `GuardPoint`.
    """

    guard_id = "guard"
    _point: GuardPoint
    _opened: OpenRound | None = None
    _ended: _Ended | None = None
    _arrived: dict[str, Arrived]

    # Of the controller that stands behind it.
    fl_ctx: FLContext
    engine: Any

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Begin, with the job's guard.

        Raises:
            RuntimeError: there is none, or it could not be opened.
        """
        super().start_controller(fl_ctx)  # type: ignore[misc]
        found = self.engine.get_component(self.guard_id)
        if not isinstance(found, GuardPoint):
            raise RuntimeError(f"add a GuardPoint to the server's components with the id {self.guard_id!r}")
        found.guard  # noqa: B018 - a guard that could not be opened ends the job here, before anything is sent
        self._point = found

    def send_model(
        self,
        task_name: str = "train",
        data: FLModel = None,
        targets: list[str] | None = None,
        min_responses: int | None = None,
        timeout: int = 0,
        callback: Callback | None = None,
    ) -> None:
        """Send as `ModelController.send_model` does, and return when the round is over: a cohort is judged together."""
        self.broadcast_model(data, task_name, targets, min_responses, timeout, callback=callback)

    def send_model_and_wait(
        self,
        task_name: str = "train",
        data: FLModel = None,
        targets: list[str] | None = None,
        min_responses: int | None = None,
        timeout: int = 0,
    ) -> list[FLModel]:
        """Return the accepted results, as `ModelController.send_model_and_wait` returns all."""
        return self.broadcast_model(data, task_name, targets, min_responses, timeout)

    def broadcast_model(
        self,
        data: FLModel,
        task_name: str = "train",
        targets: Sequence[Client | str] | None = None,
        min_responses: int | None = None,
        timeout: int = 0,
        wait_time_after_min_received: int = 0,
        blocking: bool = True,
        callback: Callback | None = None,
    ) -> list[FLModel]:
        """Send a model to those of the targets whose pull holds and return the accepted results.

        The shorter of ``timeout`` and the point's ``duration_seconds`` counts; with ``callback`` each accepted result
        is given to it, and none is returned.

        Raises:
            ControlPlaneError: the guard may not open rounds, or asks wrongly.
            ValueError: the model has no weights that can be guarded.
        """
        chosen = self.engine.get_clients() if targets is None else targets
        sites = [one.name if isinstance(one, Client) else one for one in chosen]
        self._arrived, self._ended = {}, None
        opened = self._point.admit(self.fl_ctx, sites, dict(data.params or {}), task_name, data.current_round or 0)
        if opened is None or not opened.subjects:
            self._point.end()
            return []
        self._opened = opened
        sent = copy(data)
        sent.meta = {**(data.meta or {}), CARRIED: opened.sealed.terms.to_dict()}
        bound = int(min(timeout or self._point.duration_seconds, self._point.duration_seconds))
        allowed = list(opened.subjects)
        least = min(min_responses or len(allowed), len(allowed))
        found: list[FLModel] = super().broadcast_model(  # type: ignore[misc]
            sent, task_name, allowed, least, bound, wait_time_after_min_received, True, callback
        )
        return found

    def broadcast_and_wait(self, *given: Any, **named: Any) -> None:
        """Wait as the controller does, then gate what came, and hand it what was accepted."""
        super().broadcast_and_wait(*given, **named)  # type: ignore[misc]
        opened, self._opened = self._opened, None
        if opened is None:
            return
        self._point.end()
        arrived, self._arrived = self._arrived, {}
        ruled = gate(self._point, self.fl_ctx, opened, arrived)
        together = _together(opened, ruled.gated)
        self._ended = _Ended(opened, ruled.gated, together)
        for one in replies(opened, ruled, arrived, together):
            super()._process_result(one.client_task, one.fl_ctx)  # type: ignore[misc]

    def _process_result(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """Keep a result until the round is over; NVFLARE hands over the first of each site alone."""
        site = client_task.client.name
        if self._opened is not None and site in self._opened.subjects:
            self._arrived.setdefault(site, Arrived(client_task, fl_ctx, client_task.result))
        client_task.result = None

    def update_model(self, model: FLModel, aggr_result: FLModel) -> FLModel:
        """Return the model after a round; it stays where nothing was accepted, but for what is ordered to be undone."""
        ended, self._ended = self._ended, None
        if ended is None:
            return model
        before = dict(model.params)
        if ended.gated.accepted:
            model = super().update_model(model, aggr_result)  # type: ignore[misc]
            model.params = in_kind(model.params, before)
            rounds = ended.opened.sealed, ended.gated, read_trusted(before), read_trusted(model.params)
            self._point.guard.record(*rounds, [Recipe(method=ended.opened.sealed.aggregation)])
        state = self._point.guard.rollback(read_trusted(model.params))
        if state is not None:
            model.params = write(model.params, state)
        return model


class GuardedFedAvg(Guarded, FedAvg):  # type: ignore[misc] # nvflare is read without its types
    """NVFLARE's ``FedAvg``, guarded: its arguments, and a `GuardPoint` among the server's components.

    Args:
        guard_id: the component that is the job's `GuardPoint`.
        kwargs: of ``FedAvg``.

    Raises:
        ValueError: tensors are to stay on the disk, where they cannot be screened.
    """

    def __init__(self, *args: Any, guard_id: str = "guard", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard_id = guard_id
        if self.enable_tensor_disk_offload:
            raise ValueError("a guarded job screens updates in memory: leave enable_tensor_disk_offload out")

    def _get_aggregated_result(self) -> FLModel:
        ended = self._ended
        if ended is None or not ended.gated.accepted:
            return FLModel(params={}, current_round=self.current_round)
        result = super()._get_aggregated_result()
        if self._averages_plainly() and ended.together is not None:
            # Bit for bit what a rollback will compute once more; the average of equal replies may differ in the last.
            result.params = write(ended.opened.sent, ended.together)
            result.params_type = ParamsType.FULL
        return result

    def _averages_plainly(self) -> bool:
        return self.aggregator is None and not self.exclude_vars and not self.aggregation_weights


def _together(opened: OpenRound, gated: Gated) -> Mapping[str, Tensor] | None:
    step = gated.aggregate(opened.sealed.aggregation)
    return None if step is None else moved(read_trusted(opened.sent), step)
