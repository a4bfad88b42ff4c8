"""Signals are reported in the background: no answer waits for them, and a control plane that is away stops nothing."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from adapters.errors import ControlPlaneError, Unavailable
from adapters.signals.signals import Signals
from controlplane.contracts.signals import MAX_SIGNALS, InferenceSignals, SignalsTaken

KEPT_REPORTS = 8
"""Reports that wait for a control plane that cannot be reached; then the oldest goes."""

_PAUSE_SECONDS = 0.5
_AT_ONCE = 8
_log = logging.getLogger("ztfm.signals")


class Reported(Protocol):
    """Takes reports; a `ControlPlane` of somebody with the role of a gateway does."""

    async def report_signals(self, signals: Sequence[InferenceSignals]) -> SignalsTaken:
        """Report up to 500 windows."""
        ...


class Reporter:
    """Looks at queries as they come, and reports each window when it has ended.

    Args:
        plane: takes the reports.
        signals: collects.
        sleep: waits.

    Attributes:
        reported: windows that were taken.
        lost: windows that were not, because the control plane was away for too long or would not have them.
        faults: turns that ended with an exception that nobody foresaw; the next ones came all the same.
    """

    def __init__(
        self, plane: Reported, signals: Signals, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.reported = 0
        self.lost = 0
        self.faults = 0
        self._plane = plane
        self._signals = signals
        self._sleep = sleep
        self._reports: deque[list[InferenceSignals]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Report from now on."""
        if self._work is None:
            self._work = asyncio.create_task(self._run(), name="ztfm-signals")

    async def close(self) -> None:
        """Report no longer; what was not told yet is lost."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
            self._work = None

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - logged; whatever one window meets, the next is reported
                self.faults += 1
                _log.error("signals could not be reported: %s", type(error).__name__)
            await self._sleep(_PAUSE_SECONDS)

    async def _turn(self) -> None:
        is_more = True
        while is_more:
            is_more = self._signals.fold(_AT_ONCE)
            # Requests come first.
            await asyncio.sleep(0)
        self._add(self._signals.due())
        await self._tell()

    def _add(self, due: Sequence[InferenceSignals]) -> None:
        for start in range(0, len(due), MAX_SIGNALS):
            self._reports.append(list(due[start : start + MAX_SIGNALS]))
        while len(self._reports) > KEPT_REPORTS:
            self.lost += len(self._reports.popleft())

    async def _tell(self) -> None:
        while self._reports:
            report = self._reports[0]
            try:
                await self._plane.report_signals(report)
            except Unavailable:
                return
            except ControlPlaneError as error:
                self.lost += len(report)
                _log.warning("signals are not taken: %s", error)
            else:
                self.reported += len(report)
            self._reports.popleft()
