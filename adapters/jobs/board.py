"""What everybody may know of a job, and waiting for it to change."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any


class Board:
    """Shows one notice at a time. Belongs to one event loop.

    Args:
        waiting: callers that may wait at a time; others get what is there.
    """

    def __init__(self, waiting: int) -> None:
        self._most = waiting
        self._waiting = 0
        # Another start of the job has other versions: nobody waits for one that never comes again.
        self._start = secrets.token_hex(4)
        self._number = 0
        self._notice: dict[str, Any] = {}
        self._changed = asyncio.Event()

    @property
    def notice(self) -> Mapping[str, Any]:
        """What is shown now."""
        return self._notice

    def post(self, notice: Mapping[str, Any]) -> None:
        """Show something else from now on."""
        self._number += 1
        self._notice = {"version": f"{self._start}-{self._number}", **notice}
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self, after: str | None, seconds: float) -> Mapping[str, Any]:
        """Return what is shown; where it is still the version ``after``, wait a while for another."""
        if after == self._notice.get("version") and self._waiting < self._most:
            self._waiting += 1
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        return self._notice
