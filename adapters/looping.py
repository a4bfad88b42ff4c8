"""A loop in a thread of its own, for those who may block."""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

Result = TypeVar("Result")
Given = ParamSpec("Given")
Face = TypeVar("Face")
Face_co = TypeVar("Face_co", covariant=True)


class LoopThread:
    """Runs coroutines for any number of threads; the first call starts its thread, `close` ends it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Return what a coroutine returns, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(call, self._started()).result()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not closed."""
        return self._loop is not None

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Cancel what is under way, run ``last``, and end the thread. Nothing happens when it never started."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_end(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="ztfm-client", daemon=True)
                self._thread.start()
            return self._loop


class Blocking(Generic[Face_co]):
    """The sync face of something asynchronous, which lives on the loop of a thread."""

    def __init__(self, face: Face_co, thread: LoopThread) -> None:
        self._face = face
        self._thread = thread


def blocking(
    method: Callable[Concatenate[Face, Given], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Blocking[Face], Given], Result]:
    """Return the namesake of an asynchronous method: it waits for the result, and has the same signature and text."""

    @functools.wraps(method)
    def wait(self: Blocking[Face], /, *args: Given.args, **options: Given.kwargs) -> Result:
        return self._thread.run(method(self._face, *args, **options))

    return wait


async def _end(last: Callable[[], Awaitable[None]]) -> None:
    under_way = asyncio.all_tasks() - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    await last()
