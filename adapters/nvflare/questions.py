"""What server and sites ask each other beside a task: flat mappings of text, no weights, as NVFLARE's aux messages."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from adapters.admission import Ask

TOPIC = "ztfm.question"
"""Under which sites listen for questions."""

CARRIED = "ztfm"
"""Names what is ours: in a question, in an answer, and in the meta of a task and of its result."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 4.0


def carried(content: object) -> Mapping[str, Any]:
    """Return what is ours in a message or a meta; empty when there is nothing that could be ours."""
    found = content.get(CARRIED) if isinstance(content, Mapping) else None
    return found if isinstance(found, dict) else {}


def message(ours: Mapping[str, str]) -> Shareable:
    """Return a question or an answer that carries ``ours`` alone."""
    return Shareable({CARRIED: dict(ours)})


def asking(fl_ctx: FLContext, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> Ask[str]:
    """Return what asks sites of the running job, all at once, by their names.

    A site that cannot be reached is asked again: its job may still be starting.

    Args:
        fl_ctx: of the server.
        seconds: that sites have to answer.
        sleep: waits so many seconds.
    """

    def ask(names: Sequence[str], question: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
        answers: dict[str, Mapping[str, Any]] = {}
        deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
        while missing := [name for name in names if name not in answers]:
            left = deadline - time.monotonic()
            if left <= 0 or _is_aborted(fl_ctx):
                break
            found = _once(fl_ctx, missing, question, left)
            answers.update(found)
            if len(found) < len(missing):
                sleep(min(pause, max(0.0, deadline - time.monotonic())))
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return answers

    return ask


def _once(
    fl_ctx: FLContext, names: Sequence[str], question: Mapping[str, str], seconds: float
) -> dict[str, Mapping[str, Any]]:
    replies = fl_ctx.get_engine().send_aux_request(
        targets=list(names), topic=TOPIC, request=message(question), timeout=seconds, fl_ctx=fl_ctx, optional=True
    )
    found = replies if isinstance(replies, dict) else {}
    return {name: carried(reply) for name, reply in found.items() if name in names and _has_answered(reply)}


def _is_aborted(fl_ctx: FLContext) -> bool:
    signal = fl_ctx.get_run_abort_signal()
    return signal is not None and bool(signal.triggered)


def _has_answered(reply: object) -> bool:
    try:
        return isinstance(reply, Shareable) and reply.get_return_code() == ReturnCode.OK
    except ValueError:
        return False
