"""What in NVFLARE 2.9 lets one site end a job for all, and is undone here.

A result with one of three return codes ends the job before any filter sees it, and an event that a site sends is
handled as if the server had raised it, the fatal error among them.
"""

from collections.abc import Callable
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import EventScope, FLContextKey
from nvflare.apis.fl_context import FLContext


def keep_running(runner: Any, on_attempt: Callable[[str], object]) -> None:
    """Have a job's runner on the server take no site's word that the job must end.

    Args:
        runner: NVFLARE's ``ServerRunner``.
        on_attempt: is told which event a site sent.
    """
    runner.ABORT_RETURN_CODES = []

    def judge(event_type: str, fl_ctx: FLContext) -> None:
        if fl_ctx.get_prop(FLContextKey.EVENT_SCOPE) == EventScope.FEDERATION:
            on_attempt(event_type)
        else:
            runner.handle_event(event_type, fl_ctx)

    runner.register_event_handler(EventType.FATAL_SYSTEM_ERROR, judge)
