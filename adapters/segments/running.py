"""The agent as a process: it says what happens, and ends on a signal with its rules left in force."""

import asyncio
import json
import signal
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from adapters.segments.clock import NeverBehind
from adapters.segments.enforcing import Enforcement
from adapters.segments.gatekeeper import Gatekeeper, RouterEvent
from adapters.segments.keeping import TableFile
from adapters.segments.libnftables import find_nftables
from adapters.segments.plane import control_plane
from adapters.segments.revoked import GrantFeed
from adapters.segments.router import Router


async def run(
    folder: Path,
    state: Path,
    socket: Path | None,
    silence: float | None,
    *,
    authority: Path | None = None,
    metrics: tuple[str, int] | None = None,
    as_json: bool,
) -> int:
    """Enforce the control plane's table until SIGINT or SIGTERM; return the exit status.

    Args:
        folder: of the enrolled router.
        state: where the last table is kept.
        socket: Unix socket of the control plane; none for its URL.
        silence: seconds without word of what is revoked after which nothing passes; none for never.
        authority: PEM file with what verifies the control plane; none for the authorities of the system.
        metrics: address and port at which metrics are served; none for nowhere.
        as_json: print JSON.

    Raises:
        FileNotFoundError, KeyFileError, OSError: the router is not enrolled there.
        ValueError: the table would come over a network without TLS, or the extra ``metrics`` is missing.
        SegmentsError: there is no nftables, or not even closed rules can be installed.
    """
    identity, asked = control_plane(folder, socket, authority)
    clock = NeverBehind(time.time)
    enforcement = Enforcement(find_nftables(), clock)

    def _told(event: RouterEvent) -> None:
        print(json.dumps(asdict(event)) if as_json else _line(event), flush=True)

    async with asked as plane:
        feed = GrantFeed(plane, issuer=identity.issuer, clock=plane.clock)
        gatekeeper = Gatekeeper(enforcement, TableFile(state), feed.is_void, clock, _told)
        router = Router(gatekeeper, plane, feed, silence_seconds=silence)
        with _serving(metrics, router, gatekeeper, enforcement, clock):
            enforcing = asyncio.create_task(router.run())
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, enforcing.cancel)
            async with feed:
                try:
                    await enforcing
                except asyncio.CancelledError:
                    pass
                except BaseExceptionGroup as faults:
                    raise faults.exceptions[0] from None
    return 0


def _serving(
    at: tuple[str, int] | None, router: Router, gatekeeper: Gatekeeper, enforcement: Enforcement, clock: NeverBehind
) -> AbstractContextManager[object]:
    if at is None:
        return nullcontext()
    try:
        from adapters.segments.metrics import RouterCollector, served, standing_of
    except ModuleNotFoundError as missing:
        raise ValueError(f"{missing.name} is not installed: pip install 'ztfm[metrics]'") from None
    return served(RouterCollector(lambda: standing_of(router, gatekeeper, enforcement, clock)), *at)


def _line(event: RouterEvent) -> str:
    what = f"{event.name} {event.revision[:12]}: {event.flows} flows pass, {event.cut} addresses are cut off"
    return f"{what} ({event.why})" if event.why else what
