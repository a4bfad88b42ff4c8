"""Keep what is in memory in step with the store, in the background, for as long as a context is entered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from controlplane.storage.errors import StoreUnavailable

EVERY_SECONDS = 0.5
"""How often the store is looked at for what other replicas were told."""

MAX_SILENCE_SECONDS = 10.0
"""While the store cannot be read for longer, what was read of it counts as not known."""

READ_SECONDS = 5.0
"""After which a reading that does not end is given up, and tried again."""

Sleep = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def in_step(what: str, refresh: Callable[[], Awaitable[None]], sleep: Sleep) -> AsyncIterator[None]:
    """Refresh at once, and from then on again and again until the context is left.

    Whatever a later refresh raises is logged as ``<what>_not_in_step``, and the next one is tried all the same: whoever
    is asked tells by its own clock that what it knows has grown old.

    Args:
        what: is kept in step, for logs: a word.
        refresh: reads the store.
        sleep: waits between two readings.

    Raises:
        StoreUnavailable: the store cannot be read to begin with.
    """

    async def _read() -> None:
        async with asyncio.timeout(READ_SECONDS):
            await refresh()

    await refresh()
    async with again(what, f"{what}_not_in_step", _read, sleep, waits_first=True):
        yield


@asynccontextmanager
async def again(
    what: str,
    failing: str,
    work: Callable[[], Awaitable[None]],
    sleep: Sleep,
    *,
    every: float = EVERY_SECONDS,
    waits_first: bool = False,
) -> AsyncIterator[None]:
    """Do something in the background, again and again until the context is left. Nothing that it raises ends that.

    Args:
        what: it is about, for logs: a word.
        failing: is logged when it fails, and not again before it works.
        work: is done; it may take as long as it likes.
        sleep: waits between two times.
        every: so many seconds.
        waits_first: before the first time too.
    """
    task = asyncio.create_task(_repeat(what, failing, work, sleep, every, waits_first=waits_first), name=what)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _repeat(
    what: str, failing: str, work: Callable[[], Awaitable[None]], sleep: Sleep, every: float, *, waits_first: bool
) -> None:
    log, is_failing = structlog.get_logger(f"ztfm.{what}"), False
    if waits_first:
        await sleep(every)
    while True:
        try:
            await work()
        except (StoreUnavailable, TimeoutError) as error:
            if not is_failing:
                log.error(failing, error=str(error) or type(error).__name__)
            is_failing = True
        except Exception:
            # Nobody foresaw it: soon nothing is known here, and whoever asks is told so.
            if not is_failing:
                log.exception(failing)
            is_failing = True
        else:
            is_failing = False
        await sleep(every)
