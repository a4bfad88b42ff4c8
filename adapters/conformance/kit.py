"""The kit: a control plane for all cases, fresh clients for each, and a result for each."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from adapters.conformance.cases import CASES, Case
from adapters.conformance.checking import HONEST, Cast, faults
from adapters.conformance.events import Events
from adapters.conformance.job import Ended, Job, Pace
from adapters.conformance.parties import AUDIENCE, MODEL, Parties
from adapters.conformance.plane import Plane
from adapters.conformance.script import Script, release
from adapters.conformance.worker import Worker, WorkerFailed
from adapters.credentials import Credentials

ROUNDS = 2

_BEHIND_SECONDS = 600.0
_GLANCE_SECONDS = 0.02

Verdict = Literal["held", "failed", "not applicable"]


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: the case.
        verdict: whether the backend keeps it.
        faults: what does not hold; or the backend's reason why it does not apply.
        seconds: that it took.
    """

    case: Case
    verdict: Verdict
    faults: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Expired:
    """A client that was given something long ago."""

    folder: Path
    name: str
    kept: Credentials


class Kit:
    """Runs cases. Make one with `opened`.

    Args:
        folder: private; everything goes there.
        plane: runs.
        parties: enrolled at it.
        expired: the client of the case that needs one.
    """

    def __init__(self, folder: Path, plane: Plane, parties: Parties, expired: _Expired | None) -> None:
        self._folder = folder
        self._plane = plane
        self._parties = parties
        self._expired = expired
        self._numbers = count()

    def check(self, worker: Worker, cases: Sequence[Case]) -> Iterator[Result]:
        """Run cases with a backend, and return what becomes of each once it is over.

        Args:
            worker: the backend's process.
            cases: which.

        Raises:
            WorkerFailed: it could not be started again.
            ValueError: it says of a case that there is none of that it does not apply.
            PlaneFailed: the control plane did not come back after an event.
            ControlPlaneError: the control plane did not do what a case needs.
        """
        unknown = worker.not_applicable.keys() - {case.name for case in CASES}
        if unknown:
            raise ValueError(f"NOT_APPLICABLE names cases that there are not: {', '.join(sorted(unknown))}")
        for case in cases:
            if case.name in worker.not_applicable:
                yield Result(case, "not applicable", (worker.not_applicable[case.name],), 0.0)
                continue
            began = time.monotonic()
            if not worker.is_running:
                worker.start()
            found = self._run(worker, case, self._folder / f"{next(self._numbers)}-{case.name}")
            yield Result(case, "failed" if found else "held", tuple(found), time.monotonic() - began)

    def _run(self, worker: Worker, case: Case, folder: Path) -> list[str]:
        folder.mkdir(mode=0o700)
        signals = folder / "signals"
        signals.mkdir()
        job, cast = self._prepared(case, worker.pace, folder, signals)
        events = Events(self._plane, self._parties, case.event, signals, cast.sixth, worker.pace.training_seconds)
        try:
            problem = self._ended(worker, job, events)
        except WorkerFailed as error:
            worker.end(at_once=True)
            problem = str(error)
        finally:
            release(signals)
        self._parties.wait_until_ready()
        if problem:
            return [problem]
        if case.event and not events.has_happened:
            return [f"no client trained in a round: {case.event} never happened"]
        return faults(case, job, Ended.read(folder), cast, lambda: self._parties.denials(cast.sixth))

    def _ended(self, worker: Worker, job: Job, events: Events) -> str:
        """Have a job run, and return what kept it from ending; empty when it ended."""
        deadline = time.monotonic() + job.pace.job_seconds
        worker.begin(job.folder)
        while (said := worker.answer(_GLANCE_SECONDS)) is None:
            events.look()
            if time.monotonic() > deadline:
                worker.end(at_once=True)
                return f"the job did not end within {job.pace.job_seconds:g} s"
        return f"the job was stopped: {said['error']}" if said["error"] else ""

    def _prepared(self, case: Case, pace: Pace, folder: Path, signals: Path) -> tuple[Job, Cast]:
        from adapters.conformance import training

        honest = [folder / f"client-{number}" for number in range(HONEST)]
        self._parties.enrol_all(honest)
        sixth = folder / f"client-{HONEST}"
        kept = None
        if case.behaviour == "expired-pull" and self._expired is not None:
            shutil.copytree(self._expired.folder, sixth)
            name, kept = self._expired.name, self._expired.kept
        else:
            name = self._sixth(case, sixth, honest[0])
        decoy = self._parties.open_decoy(f"decoy-{folder.name}", [name]) if "other-round" in case.behaviour else None
        for number, place in enumerate((*honest, sixth)):
            is_sixth = place == sixth
            Script(
                behaviour=case.behaviour if is_sixth else "honest",
                number=0 if is_sixth and case.standing == "twin" else number,
                signals=signals,
                training_seconds=pace.training_seconds,
                victim=honest[0] if is_sixth else None,
                decoy=decoy if is_sixth else None,
                kept=kept if is_sixth else None,
                event=case.event if is_sixth else "",
                moment=case.moment,
            ).write(place)
        job = Job(
            folder,
            self._parties.aggregator,
            self._parties.gateway,
            (*honest, sixth),
            ROUNDS,
            AUDIENCE,
            MODEL,
            pace,
            HONEST,
        )
        job.write(training.initial())
        return job, Cast(name, sixth)

    def _sixth(self, case: Case, folder: Path, victim: Path) -> str:
        if case.standing == "stranger":
            return self._parties.invent(folder)
        if case.standing == "twin":
            return self._parties.copy(victim, folder)
        name = self._parties.enrol(folder, "consumer" if case.standing == "consumer" else "trainer")
        if case.standing == "quarantined":
            self._parties.set_status(name, "quarantined")
        return name


@contextmanager
def opened(cases: Sequence[Case]) -> Iterator[Kit]:
    """Run a control plane with its parties for as long as the block lasts.

    Args:
        cases: that will be run.

    Raises:
        PlaneFailed: the control plane does not start.
        ControlPlaneError: it does not enrol.
    """
    with private_folder() as folder:
        plane = Plane(folder)
        try:
            expired = None
            if any(case.behaviour == "expired-pull" for case in cases):
                expired = _expired(plane, folder)
            plane.start()
            with Parties(folder / "parties", plane.url, plane.state_dir) as parties:
                yield Kit(folder, plane, parties, expired)
        finally:
            plane.stop()


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder of the kit's own for as long as the block lasts; short, for sockets lie in it."""
    place = "/tmp" if sys.platform == "darwin" or len(tempfile.gettempdir()) > 20 else None  # noqa: S108 - mode 0700
    with tempfile.TemporaryDirectory(prefix="ztfm-", dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _expired(plane: Plane, folder: Path) -> _Expired:
    """Have a client be given something by a control plane whose clock is slow: nobody waits until it runs out."""

    def clock() -> float:
        return time.time() - _BEHIND_SECONDS

    plane.start(behind=_BEHIND_SECONDS)
    try:
        with Parties(folder / "parties", plane.url, plane.state_dir, clock=clock) as parties:
            place = folder / "expired"
            client = parties.enrol(place)
            return _Expired(place, client, parties.pull(place, parties.open_decoy("decoy-long-ago", [client])))
    finally:
        plane.stop()
