"""Ask again, for a bounded time, and only what certainly had no effect."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.errors import TooMany, Unavailable

Result = TypeVar("Result")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0

_log = logging.getLogger("ztfm.guard")


def patiently(
    call: Callable[[], Result],
    seconds: float,
    *,
    timer: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what ``call`` returns, asking again while it is certain that nothing was done.

    That is so when no connection could be made, when policy could not be asked whether the caller may, or when the
    caller asked too often. A lost answer is no such case: the request may have been carried out.

    Args:
        call: asks the control plane.
        seconds: how long to go on asking.
        timer: seconds, never stepping back.
        sleep: waits so many seconds.

    Raises:
        ControlPlaneError: the last failure, once time is up, or any other at once.
    """
    deadline = timer() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return call()
        except (Unavailable, TooMany) as error:
            wait = error.retry_after if isinstance(error, TooMany) else pause
            is_harmless = isinstance(error, TooMany) or error.is_untouched
            if not is_harmless or timer() + wait > deadline:
                raise
            _log.info("asking the control plane again in %.1f s: %s", wait, error)
        sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)
