"""What follows the control plane in the background for as long as somebody needs it."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Follower(ABC):
    """A task in the background, and whether it ever knew what it is there to know. An asynchronous context manager.

    Args:
        name: of the task.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self, wait_seconds: float = 0.0) -> bool:
        """Follow from now on, in the background; return whether everything is known within ``wait_seconds``."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)
        return await self.ready(wait_seconds)

    async def ready(self, seconds: float) -> bool:
        """Return whether everything was known at least once, waiting up to ``seconds`` for that."""
        try:
            async with asyncio.timeout(seconds):
                await self._known.wait()
        except TimeoutError:
            return self._known.is_set()
        return True

    async def close(self) -> None:
        """Follow no longer; nothing is held good from then on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @abstractmethod
    async def _run(self) -> None:
        """Follow until cancelled."""
