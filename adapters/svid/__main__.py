"""Keep an X509-SVID fresh in a folder: ``python -m adapters.svid FOLDER --out DIR``, beside a server that reads it."""

import argparse
import asyncio
import json
import logging
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError
from adapters.plane import ControlPlane
from adapters.svid.bundle import BundleInvalid
from adapters.svid.files import write_svid
from adapters.svid.identity import X509Svid
from adapters.svid.source import SvidSource
from adapters.svid.verifying import SvidRefused
from controlplane.capabilities.errors import KeyFileError

MIN_SECONDS = 300.0
MAX_SECONDS = 86_400.0
TOLD_SECONDS = 30.0
"""How long the command that is told of a new SVID may take."""

_log = logging.getLogger("ztfm.svid")


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep an SVID until interrupted, and return the exit status: 0, or 1 with a message when there was none."""
    parser = argparse.ArgumentParser(
        prog="python -m adapters.svid",
        description="Keep an X509-SVID fresh in a folder: svid.pem, key.pem and bundle.pem, replaced together. Each "
        "has a new key; the enrolled one stays where it is.",
        epilog='Example: python -m adapters.svid keys/gateway --out /run/svid --on-change "nginx -s reload"',
    )
    parser.add_argument("folder", type=Path, help="of an enrolled device or service, as adapters.enrol made it")
    parser.add_argument("--out", type=Path, required=True, help="where the files are kept; made, for its owner alone")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="life of each SVID, 300 to 86400 (3600)")
    parser.add_argument("--socket", type=Path, help="Unix socket of the control plane")
    parser.add_argument("--once", action="store_true", help="write one SVID and end")
    parser.add_argument("--on-change", default="", help="command to run after each change, without a shell")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each change")
    given = parser.parse_args(arguments)
    if not MIN_SECONDS <= given.seconds <= MAX_SECONDS:
        parser.error(f"--seconds is {MIN_SECONDS:g} to {MAX_SECONDS:g}")
    logging.basicConfig(format="adapters.svid: %(message)s", stream=sys.stderr)
    try:
        return asyncio.run(_keep(given))
    except (ControlPlaneError, KeyFileError, SvidRefused, BundleInvalid, ValueError, OSError) as error:
        print(f"adapters.svid: {error}", file=sys.stderr)
        return 1


async def _keep(given: argparse.Namespace) -> int:
    url, key = load_identity(given.folder).url, load_key(given.folder)
    changed: asyncio.Event = asyncio.Event()

    def _written(svid: X509Svid) -> None:
        write_svid(given.out, svid)
        _say(given.out, svid, given.json)
        changed.set()

    async with ControlPlane(url, key, socket=given.socket) as plane:
        source = SvidSource(plane, lifetime_seconds=given.seconds, on_change=_written)
        if given.once:
            await source.renew()
            if not changed.is_set():
                raise OSError(f"{given.out} cannot be written")
            await _tell(given.on_change)
            return 0
        async with source:
            await _until_stopped(changed, given.on_change)
    return 0


async def _until_stopped(changed: asyncio.Event, command: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stopping = asyncio.create_task(stopped.wait())
    try:
        while not stopped.is_set():
            changing = asyncio.create_task(changed.wait())
            await asyncio.wait({stopping, changing}, return_when=asyncio.FIRST_COMPLETED)
            if changed.is_set() and not stopped.is_set():
                changed.clear()
                await _tell(command)
            changing.cancel()
    finally:
        stopping.cancel()


async def _tell(command: str) -> None:
    """Run a command to its end; one that fails or takes too long is logged, and the next change runs it again."""
    if not command:
        return
    try:
        process = await asyncio.create_subprocess_exec(*shlex.split(command), stdin=asyncio.subprocess.DEVNULL)
    except (OSError, ValueError) as error:
        _log.warning("%s could not be run: %s", command, error)
        return
    try:
        async with asyncio.timeout(TOLD_SECONDS):
            status = await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        _log.warning("%s took more than %g s and was ended", command, TOLD_SECONDS)
        return
    if status != 0:
        _log.warning("%s ended with status %d", command, status)


def _say(folder: Path, svid: X509Svid, as_json: bool) -> None:
    if as_json:
        told = {"spiffe_id": str(svid.name), "expires_at": svid.expires_at, "folder": str(folder)}
        print(json.dumps(told), flush=True)
    else:
        print(f"{svid.name} until {svid.expires_at:.0f} in {folder}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
