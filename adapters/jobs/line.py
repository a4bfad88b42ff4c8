"""The one thread that speaks to a job's guard."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Line:
    """The one thread that speaks to a guard, which is for one thread at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "ztfm-guard")

    async def __call__(self, call: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
        """Return what a call returns, once those before it have ended."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **options))

    def close(self) -> None:
        """End the thread; calls under way end first."""
        self._pool.shutdown()
