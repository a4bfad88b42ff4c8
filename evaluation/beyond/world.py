"""A control plane with its OPA on a thread of this process, whose clock can be set ahead, and those who enrolled."""

import asyncio
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from aiohttp import web

from adapters.member import Member
from controlplane.api.services import EdgeLimits
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.entry import open_listeners
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.parts import STORE
from controlplane.settings import Settings

POLICIES = Path(__file__).resolve().parents[2] / "policies"
MODEL, GUARDED = "smart-home-intents", "restricted-intents"
AGGREGATOR, GATEWAY = "aggregator-1", "gateway-1"
START_SECONDS, STOP_SECONDS, TOKEN_SECONDS = 120.0, 30.0, 3600.0
UNLIMITED = EdgeLimits(rate=1e6, burst=1e6, stranger_rate=1e6, stranger_burst=1e6)
"""What an attack needs many requests for is to be stopped by policy here, not by the edge's rates."""

Result = TypeVar("Result")
Change = Callable[[Any], None]
"""Changes a document of policy data in place."""


class Clock:
    """The time of day, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() + self.ahead


class World:
    """A running control plane and the parties that enrolled at it.

    Args:
        app: the control plane.
        url: where it answers.
        folder: private; parties keep their keys there.
        loop: that it runs on.
        clock: of everybody.
        stack: closes what is opened here.
    """

    def __init__(
        self,
        app: web.Application,
        url: str,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        stack: ExitStack,
    ) -> None:
        self.url, self.folder, self.clock = url, folder, clock
        self._app, self._loop, self._stack = app, loop, stack

    def enrol(self, name: str, *roles: str, segment: str = "homes") -> Member:
        """Enrol somebody with a token, as an operator lets them."""
        tokens = EnrolmentTokens(self._app[STORE].tokens, self.clock)
        issued = asyncio.run_coroutine_threadsafe(tokens.issue(list(roles), segment, TOKEN_SECONDS), self._loop)
        folder = self.folder / "parties" / name
        [token] = issued.result(START_SECONDS)
        return self._stack.enter_context(
            Member.enrol(folder, self.url, token, roles=roles, segment=segment, clock=self.clock)
        )

    def staff(self, name: str, role: str) -> Member:
        """Enrol somebody of the data centre."""
        return self.enrol(name, role, segment="core")

    def open(self, name: str, folder: Path | None = None) -> Member:
        """Open a party again, or a copy of its folder, as a thief of its key does."""
        place = folder or self.folder / "parties" / name
        return self._stack.enter_context(Member.open(place, clock=self.clock))


@contextmanager
def world(changes: Mapping[str, Change], roots: Path | None = None) -> Iterator[World]:
    """Run a control plane with the shipped policies, and changes to their data.

    Args:
        changes: by folder of ``policies/data``.
        roots: of evidence that it believes; none believes none.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ztfm-", ignore_cleanup_errors=True)))
        policies = folder / "policies"
        shutil.copytree(POLICIES, policies)
        for name, change in changes.items():
            _change(policies / "data" / name / "data.json", change)
        settings: dict[str, Any] = {"policies": policies, "attestation_roots": roots}
        ready, listeners = open_listeners(Settings(state_dir=folder / "s", listen_port=0, **settings))
        clock = Clock()
        app = build_app(ready, clock=clock, limits=UNLIMITED)
        loop = stack.enter_context(_running(app, listeners))
        with ExitStack() as parties:
            yield World(app, ready.resolved_public_url, folder, loop, clock, parties)


def _change(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@contextmanager
def _running(app: web.Application, listeners: Any) -> Iterator[asyncio.AbstractEventLoop]:
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    faults: list[BaseException] = []

    async def _serve() -> None:
        try:
            async with serving(app, *listeners):
                started.set()
                await stop.wait()
        except BaseException as fault:  # noqa: BLE001 - kept for whoever waits, and raised there
            faults.append(fault)
            started.set()

    def _work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve())

    thread = threading.Thread(target=_work, name="control-plane")
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError("the control plane did not start; `ztfm doctor` says what is missing")
        if faults:
            raise faults[0]
        yield loop
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(STOP_SECONDS)


class Timed:
    """Takes the wall time of calls.

    Attributes:
        seconds: of each.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do something, and note how long it took, whatever came of it."""
        began = time.perf_counter()
        try:
            return work(*given)
        finally:
            self.seconds.append(time.perf_counter() - began)

    @property
    def milliseconds(self) -> float:
        """The median, rounded to what can be told apart."""
        return round(median(self.seconds) * 1000.0, 3) if self.seconds else 0.0
