"""Requests of devices, watched: each decision is taken note of in a microsecond, and judged by the window, afterwards.

Every worker watches the requests that it decides. Windows begin at the same moments everywhere, and what is kept of a
subject is shared, so that it does not matter which worker it asks.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Protocol, Self

import structlog

from controlplane.audit import AuditUnavailable
from controlplane.behavior.requests import AccessScores, Closed, RequestProfile, Scored, Windows, latest
from controlplane.behavior.requests import Observation as Seen
from controlplane.contracts.decision import Decision
from controlplane.decisions.responding import Contended, Observation, Responder
from controlplane.decisions.watching.profiles import ProfileBook
from controlplane.decisions.watching.uses import Uses
from controlplane.identity.registry import Registry
from controlplane.storage import StoreUnavailable
from controlplane.storage.profiles import Profiles

CAPACITY = 65_536
"""Requests that wait to be folded; at some 300 bytes each, in at most 20 MB."""

FOLD_SECONDS = 2.0
AT_ONCE = 256
"""Subjects that are judged together."""

_TURN = 256
_log = structlog.get_logger("ztfm.behaviour")

FAULTS = (AuditUnavailable, Contended, StoreUnavailable)
"""What a window may not be judged for; the next one is."""


class RequestObserver(Protocol):
    """Counts what is watched."""

    def requests_watched(self, folded: int, dropped: int) -> None:
        """So many requests were folded into windows, and so many not, for lack of room."""
        ...

    def windows_judged(self, channel: str, scores: list[float], lost: int) -> None:
        """Windows were judged by these scores; so many others were not, because of a fault."""
        ...


class RequestWatch:
    """Takes note of decided requests, and has every subject's windows judged. An asynchronous context manager.

    Args:
        responder: judges and responds.
        profiles: keeps what is usual for subjects.
        registry: knows subjects.
        observer: counts.
        clock: Unix seconds.
        capacity: requests that wait at most; what comes beyond them is dropped and counted.
        sleep: waits between two foldings.

    Attributes:
        uses: who was allowed to use which model lately.
    """

    def __init__(
        self,
        responder: Responder,
        profiles: Profiles,
        registry: Registry,
        observer: RequestObserver,
        clock: Callable[[], float],
        *,
        capacity: int = CAPACITY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._responder = responder
        self._profiles = ProfileBook(profiles, "access", RequestProfile)
        self.uses = Uses(profiles)
        self._registry = registry
        self._observer = observer
        self._clock = clock
        self._capacity = capacity
        self._sleep = sleep
        self._waiting: deque[Seen] = deque()
        self._dropped = 0
        self._windows: Windows | None = None
        self._scores = AccessScores()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._run(), name="request-watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    def saw(self, facts: Mapping[str, Any], decision: Decision) -> None:
        """Take note of a decided request, with the facts that it was decided on.

        A request of who is not known, or is set apart already, is passed over, and so is one that no policy decided.
        """
        subject = facts["subject"]
        known = subject.get("properties")
        if known is None or known["status"] != "active" or decision.outcome == "error":
            return
        resource, context = facts["resource"], facts["context"]
        if decision.allowed and facts["action"]["name"] == "inference":
            self.uses.allowed(subject["id"], resource["id"], context["time"])
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            return
        self._waiting.append(
            Seen(
                context["time"],
                subject["id"],
                known["segment"],
                facts["action"]["name"],
                resource["id"],
                context["network"]["address"],
                decision.allowed,
            )
        )

    async def _run(self) -> None:
        while True:
            await self._sleep(FOLD_SECONDS)
            try:
                await self._fold()
            except Exception as error:  # noqa: BLE001 - logged; whatever one window meets, the next is judged
                _log.error("request_watch_fault", error=type(error).__name__)

    async def _fold(self) -> None:
        if not self._waiting and not self._dropped and (self._windows is None or self._windows.is_empty):
            return
        in_force = await self._responder.in_force()
        if in_force is None:
            return
        if self._windows is None or self._windows.seconds != in_force.terms.observation_seconds:
            self._windows = Windows(in_force.terms.observation_seconds)
        windows, before = self._windows, (self._windows.folded, self._windows.dropped)
        closed: list[Closed] = []
        turn = 0
        while self._waiting:
            ended = windows.fold(self._waiting.popleft())
            closed += [ended] if ended else []
            turn += 1
            if turn % _TURN == 0:
                # Requests come first.
                await asyncio.sleep(0)
        ended = windows.close(self._clock())
        closed += [ended] if ended else []
        dropped, self._dropped = self._dropped, 0
        self._observer.requests_watched(windows.folded - before[0], windows.dropped - before[1] + dropped)
        for one in closed:
            await self._judge(one)

    async def _judge(self, closed: Closed) -> None:
        judged: list[float] = []
        due = len(closed.subjects)
        try:
            opened = await self._profiles.open(closed.subjects)
            # Thousands of subjects take seconds; others are served meanwhile.
            found = await asyncio.to_thread(self._scores.score, closed, opened.profiles)
            names = sorted(name for name, (scored, _) in found.items() if scored.score is not None)
            due = len(names)
            for start in range(0, due, AT_ONCE):
                part = {name: found[name][0] for name in names[start : start + AT_ONCE]}
                observations = await self._observations(part)
                if await self._responder.observe("access", observations) is None:
                    return
                judged += [one.score for one in observations]
            stale = await self._profiles.replace(opened, {name: one for name, (_, one) in found.items()}, self._clock())
            await self._keep_uses(closed, stale)
        except FAULTS as error:
            _log.warning("requests_not_judged", error=type(error).__name__, remedy="the next window is")
        finally:
            self._observer.windows_judged("access", judged, due - len(judged))

    async def _keep_uses(self, closed: Closed, stale: Collection[str]) -> None:
        """Keep what others' profiles of the same window do not say: who was allowed which inference, here."""
        used = {name: closed.subjects[name].used for name in stale if closed.subjects[name].used}
        if used:
            opened = await self._profiles.open(used)
            kept = {name: opened.profiles[name] for name in used if name in opened.profiles}
            merged = {name: one.model_copy(update={"used": latest(one.used, used[name])}) for name, one in kept.items()}
            await self._profiles.replace(opened, merged, self._clock())

    async def _observations(self, found: Mapping[str, Scored]) -> list[Observation]:
        devices = await asyncio.gather(*map(self._registry.get, found))
        return [
            Observation(device, scored.score, device.segment, scored.attribution)
            for device, scored in zip(devices, found.values(), strict=True)
            if device is not None and device.status == "active" and scored.score is not None
        ]
