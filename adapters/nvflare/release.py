"""The last point before weights leave the server: a task's data goes to a site whose pull held, or goes empty."""

import logging

from nvflare.apis.dxo import DataKind, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable

from adapters.nvflare.point import GuardPoint
from adapters.nvflare.questions import carried

_WITHOUT_WEIGHTS = (DataKind.METRICS, DataKind.ANALYTIC, DataKind.STATISTICS)

_log = logging.getLogger("ztfm.guard")


class ReleaseFilter(Filter):  # type: ignore[misc] # nvflare is read without its types
    """Name it last among the server's task data filters, for all tasks: no other workflow gives weights away either.

    A guarded controller sends weights to nobody else anyway. What goes to a site whose pull does not hold goes without
    its content. Nothing is raised: NVFLARE would end the task for all sites.

    Args:
        guard_id: the component that is the job's `GuardPoint`.
    """

    def __init__(self, guard_id: str = "guard") -> None:
        super().__init__()
        self.guard_id = guard_id

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Return the task's data, or no more than its headers."""
        try:
            if self._is_released(shareable, fl_ctx):
                return shareable
        except Exception:  # noqa: BLE001 - whatever went wrong, no weights leave
            _log.exception("whether weights may leave could not be found out: they do not")
        emptied = Shareable()
        emptied[ReservedHeaderKey.HEADERS] = shareable.get(ReservedHeaderKey.HEADERS, {})
        return emptied

    def _is_released(self, shareable: Shareable, fl_ctx: FLContext) -> bool:
        if set(shareable) <= {ReservedHeaderKey.HEADERS}:
            return True
        found = from_shareable(shareable)
        if found.data_kind in _WITHOUT_WEIGHTS:
            return True
        point = fl_ctx.get_engine().get_component(self.guard_id)
        site, round_id = _receiver(fl_ctx), str(carried(found.meta).get("round_id", ""))
        if isinstance(point, GuardPoint) and point.may_receive(site, round_id):
            return True
        if isinstance(point, GuardPoint):
            point.withhold(round_id)
        _log.warning("%s does not get the weights of a task that is no part of a round it was let into", site)
        return False


def _receiver(fl_ctx: FLContext) -> str:
    """Return to whom a task was assigned. What the request says of its sender is the sender's word alone."""
    communicator = fl_ctx.get_prop(FLContextKey.RUNNER).current_wf.controller.communicator
    assigned = communicator.process_task_check(fl_ctx.get_prop(FLContextKey.TASK_ID), fl_ctx)
    return str(assigned.client.name)
