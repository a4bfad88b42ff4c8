"""A run over a fleet's file: many lines at a time, each written down, to be gone on with whenever it ends."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.calls import CallOptions
from adapters.client import ControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.fleet.enrolling import Enrolling, Known
from adapters.fleet.errors import Fault, FleetError, Stopped
from adapters.fleet.faults import FaultsFile
from adapters.fleet.files import FleetFile, Looked
from adapters.fleet.folders import Station
from adapters.fleet.journal import Journal
from adapters.fleet.lines import Line
from adapters.fleet.pace import Pace
from adapters.fleet.progress import Progress
from adapters.fleet.tokens import Tokens
from controlplane.capabilities.errors import KeyFileError
from controlplane.jose.keys import DeviceKey

AT_ONCE = 16


@dataclass(frozen=True)
class Wanted:
    """What a run is to do.

    Attributes:
        file: the fleet's.
        out: folder of the station.
        admin: folder of an enrolled administrator, who issues tokens; none where every line shows something.
        url: the control plane's; none for the administrator's.
        at_once: devices that are enrolled at a time.
        hours: that an issued token holds.
        patience_seconds: that a control plane may be away.
        options: how it is reached.
    """

    file: Path
    out: Path
    admin: Path | None
    url: str | None
    at_once: int
    hours: float
    patience_seconds: float
    options: CallOptions


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        devices: of the file.
        before: that earlier runs enrolled.
        enrolled: by this one.
        found: of these, those that an earlier run enrolled without living to write it down.
        failed: lines with a fault.
        seconds: it took.
        ended: ``checked``, ``invalid``, ``done``, ``stopped`` or ``given_up``.
        why: it was given up.
        faults: the first ones.
    """

    devices: int = 0
    before: int = 0
    enrolled: int = 0
    found: int = 0
    failed: int = 0
    seconds: float = 0.0
    ended: str = "done"
    why: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def left(self) -> int:
        """Devices that nobody got to."""
        return self.devices - self.before - self.enrolled - self.failed

    @property
    def is_complete(self) -> bool:
        """Whether every device of the file is enrolled."""
        return self.ended == "done" and not self.failed


def enrol_fleet(
    wanted: Wanted,
    *,
    check_only: bool = False,
    shown: Callable[[int, int], Progress] = lambda total, before: Progress(None, total, before),
    listening: Callable[[Callable[[], None]], None] = lambda stop: None,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Enrol every device of a file that no earlier run enrolled, and return what came of it.

    Args:
        wanted: what is to be done.
        check_only: look through the file, and ask for nothing.
        shown: makes what shows how far it is, of the devices of the file and those of earlier runs.
        listening: is given what stops the run, within its event loop, before it begins.
        clock: Unix seconds.

    Raises:
        FleetError: it cannot begin.
    """
    begun = time.monotonic()
    with FleetFile(wanted.file) as file:
        url, administrator = _administrator(wanted)
        station = Station(wanted.out)
        with Journal(station.journal) as journal, FaultsFile(station.faults) as faults:
            looked = file.look(faults.add, journal.done, issues=administrator is not None)
            outcome = Outcome(devices=looked.lines, before=looked.before)
            if looked.faults:
                outcome.ended, outcome.failed = "invalid", looked.faults
            elif check_only:
                outcome.ended = "checked"
            else:
                journal.begin(url, round(clock(), 3))
                run = _Run(wanted, url, administrator, file, station, journal, faults, outcome, clock)
                asyncio.run(run.work(looked, shown(looked.lines, looked.before), listening))
            outcome.faults = tuple(faults.first)
    outcome.seconds = round(time.monotonic() - begun, 3)
    return outcome


@dataclass
class _Run:
    wanted: Wanted
    url: str
    administrator: DeviceKey | None
    file: FleetFile
    station: Station
    journal: Journal
    faults: FaultsFile
    outcome: Outcome
    clock: Callable[[], float]

    async def work(self, looked: Looked, progress: Progress, listening: Callable[[Callable[[], None]], None]) -> None:
        """Enrol, until all is done or nothing gets on any more."""
        pace = Pace(self.wanted.patience_seconds)
        listening(pace.stop)
        issuer = None if self.administrator is None else self._connect(self.administrator)
        tokens = Tokens(issuer, looked.wanted, pace, self.wanted.hours, self.clock)
        enrolling = Enrolling(self.station, self.file.folder, self._connect, tokens, pace)
        lines = (line for line in self.file.again() if line.name not in self.journal.done)
        try:
            await asyncio.gather(*(self._some(lines, enrolling, pace, progress) for _ in range(self.wanted.at_once)))
        finally:
            if issuer is not None:
                await issuer.close()
            progress.end()
        if self.outcome.why:
            self.outcome.ended = "given_up"
        elif pace.is_stopped and self.outcome.left:
            self.outcome.ended = "stopped"

    async def _some(self, lines: Iterator[Line], enrolling: Enrolling, pace: Pace, progress: Progress) -> None:
        """Enrol one line after the other, as long as there are any and nobody stops."""
        try:
            for line in lines:
                if pace.is_stopped:
                    return
                await self._written(line, await enrolling.enrol(line))
                progress.show(time.monotonic(), self.outcome.enrolled, self.outcome.failed)
        except Stopped:
            return
        except FleetError as error:
            # What the others have under way is finished, and written down.
            self.outcome.why = self.outcome.why or str(error)
            pace.stop()

    async def _written(self, line: Line, found: Known | Fault) -> None:
        entry = {"time": round(self.clock(), 3), "line": line.number, "name": line.name}
        if isinstance(found, Fault):
            await self.journal.write({**entry, "state": "failed", "what": found.what, "remedy": found.remedy})
            self.faults.add(found)
            self.outcome.failed += 1
            return
        roles, segment = line.group
        await self.journal.write({**entry, "state": "enrolled", "id": found.id, "roles": roles, "segment": segment})
        self.outcome.enrolled += 1
        self.outcome.found += found.was_found

    def _connect(self, key: DeviceKey) -> ControlPlane:
        return ControlPlane(self.url, key, **self.wanted.options)


def _administrator(wanted: Wanted) -> tuple[str, DeviceKey | None]:
    """Return the control plane's URL and the key of who issues tokens."""
    if wanted.admin is None:
        if wanted.url is None:
            raise FleetError("where is the control plane? Give --url, or --admin with an administrator's folder")
        return wanted.url.rstrip("/"), None
    try:
        key, identity = load_key(wanted.admin), load_identity(wanted.admin)
    except (KeyFileError, OSError) as error:
        raise FleetError(f"the administrator cannot be used: {error}") from None
    return (wanted.url or identity.url).rstrip("/"), key
