"""The sync face of `adapters.plane.ControlPlane`: the same names, for threads that may block."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from adapters.plane import ControlPlane, Readiness
from controlplane.capabilities.keys import DeviceKey
from controlplane.contracts.access import AccessRequest, ActionName, Resource
from controlplane.contracts.capability import Capability, CapabilityContext
from controlplane.contracts.decision import AccessResponse, DecisionRecord
from controlplane.contracts.identity import Enrolled
from controlplane.contracts.rounds import Round, RoundRequest, UpdateReport, UpdateVerdict

Result = TypeVar("Result")


class SyncControlPlane:
    """`ControlPlane` for code without an event loop. A context manager; any number of threads may share one.

    The asynchronous client runs on a loop in a thread of its own, which the first call starts and `close` ends.
    The arguments, results and exceptions of each method are those of its namesake.
    """

    def __init__(
        self,
        url: str,
        key: DeviceKey,
        *,
        timeout_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._plane = ControlPlane(url, key, timeout_seconds=timeout_seconds, tls=tls, clock=clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The control plane's public URL."""
        return self._plane.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections and end the thread; calls under way in other threads are cancelled."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def enrol(self, token: str, roles: Sequence[str], segment: str) -> Enrolled:
        """Register this key against a single-use token and return the name that it has from now on."""
        return self._run(self._plane.enrol(token, roles, segment))

    def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Capability:
        """Return a capability for one action on one resource at one enforcement point."""
        return self._run(self._plane.capability(action, resource, audience, context))

    def open_round(self, request: RoundRequest) -> Round:
        """Open a round; its id must never have been used."""
        return self._run(self._plane.open_round(request))

    def report_updates(self, round_id: str, updates: Sequence[UpdateReport]) -> list[UpdateVerdict]:
        """Report a round's updates and return their verdicts, in the same order. Their capabilities are used up."""
        return self._run(self._plane.report_updates(round_id, updates))

    def decision(self, decision_id: str) -> DecisionRecord:
        """Return a recorded decision with the facts behind it."""
        return self._run(self._plane.decision(decision_id))

    def evaluate(self, request: AccessRequest) -> AccessResponse:
        """Ask for one decision (AuthZEN 1.0). A denial is an answer here, not an exception."""
        return self._run(self._plane.evaluate(request))

    def evaluate_many(self, requests: Sequence[AccessRequest]) -> list[AccessResponse]:
        """Ask for up to 100 decisions at once (AuthZEN 1.0); answers keep the order."""
        return self._run(self._plane.evaluate_many(requests))

    def jwks(self) -> Mapping[str, Any]:
        """Return the published keys that verify capabilities (RFC 7517)."""
        return self._run(self._plane.jwks())

    def readiness(self) -> Readiness:
        """Return whether the control plane can decide, part by part."""
        return self._run(self._plane.readiness())

    async def _end(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._plane.close()

    def _run(self, call: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(call, self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="ztfm-client", daemon=True)
                self._thread.start()
            return self._loop
