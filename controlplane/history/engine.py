"""A real OPA for a policy folder, for as long as one looks back; nothing of a control plane that runs is touched."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from controlplane.decisions.coalescing import Coalescer, CoalescingLimits
from controlplane.decisions.engine import BatchFault, PolicyEngine
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.sidecar import OpaBinary, Sidecar, SidecarError, SidecarOptions, build_bundle
from controlplane.sidecar.folders import beside

START_SECONDS = 20.0
BATCH = 192
IN_FLIGHT = 3
DEADLINE_SECONDS = 60.0
"""Nobody waits for these answers but whoever looks back; they must come, not come soon."""

NOTHING = b'{"input":{}}'
"""A batch without questions: what answers it can decide."""

_QUEUE = 65_536
_log = structlog.get_logger("ztfm.history")


@dataclass(frozen=True)
class Policies:
    """A policy folder that decides.

    Attributes:
        engine: answers by it.
        revision: of its bundle.
    """

    engine: PolicyEngine
    revision: str


class Unwatched:
    """Watches over calls to an OPA that decides nobody's requests."""

    def call(self, result: str, seconds: float, size: int) -> None:
        """Count nothing: nobody asked for them."""

    def state(self, queued: int, *, circuit_open: bool) -> None:
        """Count nothing."""

    def fault(self, error: BaseException) -> None:
        """Say what went wrong; the questions were answered with an error."""
        _log.error("looking_back_failed", error=type(error).__name__)


@asynccontextmanager
async def deciding(opa: OpaBinary, folder: Path) -> AsyncIterator[Policies]:
    """Have ``folder`` decide in an OPA of its own, until the context is left.

    Raises:
        BundleError: the policies do not compile; OPA's own words, with file and line.
        SidecarError: OPA does not come up.
        OSError: there is no room for it.
    """
    with tempfile.TemporaryDirectory(prefix="ztfm-") as made:
        place = Path(made)
        bundle = place / "bundle.tar.gz"
        revision = await asyncio.to_thread(build_bundle, opa, folder, bundle)
        sidecar = Sidecar(SidecarOptions(opa, place / "opa", beside()))
        sidecar.offer("base", await asyncio.to_thread(bundle.read_bytes))
        await sidecar.start()
        transport = OpaTransport(OpaAddress(token=sidecar.token, socket=sidecar.options.socket))
        limits = CoalescingLimits(BATCH, IN_FLIGHT, _QUEUE, DEADLINE_SECONDS)
        engine = Coalescer(transport, Unwatched(), clock=time.monotonic, limits=limits)
        try:
            await _await_bundle(transport, folder)
            yield Policies(engine, revision)
        finally:
            await engine.close()
            await transport.close()
            await sidecar.stop()


async def _await_bundle(transport: OpaTransport, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while True:
        try:
            await transport.send(NOTHING, 2.0)
        except BatchFault as fault:
            if loop.time() > deadline:
                what = f"OPA did not decide by {folder} within {START_SECONDS:g} s ({fault.cause})"
                raise SidecarError(f"{what}: is its batch rule there (ztfm/batch)?") from None
        else:
            return
        await asyncio.sleep(0.05)
