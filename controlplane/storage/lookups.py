"""Look-ups that arrive while one is under way go into the next one together."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(eq=False)
class _Batch(Generic[Key, Value]):
    keys: dict[Key, None] = field(default_factory=dict)
    task: "asyncio.Task[Mapping[Key, Value]] | None" = None


class Coalesced(Generic[Key, Value]):
    """Turns single look-ups into few queries: a query costs about as much for 64 keys as for one.

    Nobody gets an answer from before they asked: a look-up joins the query that has not begun.

    Args:
        look: returns what is found of several keys; what it raises, everybody who asked gets.
        most: keys of one query at most.
    """

    def __init__(self, look: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]], most: int = 256) -> None:
        self._look = look
        self._most = most
        self._forming: _Batch[Key, Value] | None = None
        self._latest: asyncio.Task[Mapping[Key, Value]] | None = None

    async def get(self, key: Key) -> Value | None:
        """Return what is found of ``key``, or none."""
        batch = self._forming
        if batch is None or len(batch.keys) >= self._most or batch.task is None or batch.task.done():
            batch = self._forming = _Batch()
            batch.task = self._latest = asyncio.create_task(self._run(batch, self._latest))
            batch.task.add_done_callback(_retrieve)
        batch.keys[key] = None
        # One caller's cancellation must not cancel the look-up of the others.
        return (await asyncio.shield(batch.task)).get(key)

    async def _run(
        self, batch: _Batch[Key, Value], before: "asyncio.Task[Mapping[Key, Value]] | None"
    ) -> Mapping[Key, Value]:
        if before is not None and not before.done():
            await asyncio.wait({before})
        if self._forming is batch:
            self._forming = None
        return await self._look(list(batch.keys))


def _retrieve(task: "asyncio.Task[object]") -> None:
    # When every caller was cancelled, nobody is left to hear of a fault.
    if not task.cancelled():
        task.exception()
