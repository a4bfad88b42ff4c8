"""Tasks that run beside what is served, and end with it."""

import asyncio
from contextlib import suppress


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end; nothing where it was not begun."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
