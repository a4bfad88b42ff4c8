"""The kit: a control plane for all cases, fresh clients for each, and a result for each."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from adapters.conformance.cases import CASES, Case
from adapters.conformance.checking import Cast, Part, faults, not_refused
from adapters.conformance.events import Events
from adapters.conformance.job import Ended, Job, Pace
from adapters.conformance.parties import AUDIENCE, MODEL, SUMMED_MODEL, Parties
from adapters.conformance.plane import Plane
from adapters.conformance.script import Script, release
from adapters.conformance.worker import Worker, WorkerFailed
from adapters.credentials import Credentials

ROUNDS = 2

_BEHIND_SECONDS = 600.0
_GLANCE_SECONDS = 0.02
_UNHURRIED = 3.0
_SUMMING = 4.0
"""Sums take their time: sixteen clients, and five messages of each."""

_SUMMED_TOGETHER = 2

Verdict = Literal["held", "failed", "not applicable"]


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: the case.
        verdict: whether the backend keeps it.
        faults: what does not hold; or the backend's reason why it does not apply.
        seconds: that it took; of a job that several cases share, its part.
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

        Where a start is dear, which the backend says by how many may share one, cases of a company do.

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
        for company in companies([case for case in cases if case.name not in worker.not_applicable], worker.together):
            began = time.monotonic()
            if not worker.is_running:
                worker.start()
            found = self._run(worker, company, self._folder / f"{next(self._numbers)}-{company[0].name}")
            seconds = (time.monotonic() - began) / len(company)
            for case, one in zip(company, found, strict=True):
                yield Result(case, "failed" if one else "held", tuple(one), seconds)

    def _run(self, worker: Worker, company: Sequence[Case], folder: Path) -> list[list[str]]:
        folder.mkdir(mode=0o700)
        signals = folder / "signals"
        signals.mkdir()
        job, parts = self._prepared(company, _pace_of(worker, company), folder, signals)
        seconds = job.pace.training_seconds
        events = [
            Events(self._plane, self._parties, part.case.event, signals, part.cast.sixth, seconds) for part in parts
        ]
        try:
            problem = self._ended(worker, job, events)
        except WorkerFailed as error:
            worker.end(at_once=True)
            problem = str(error)
        finally:
            release(signals)
        self._parties.wait_until_ready()
        if company[0].is_summed and not worker.sums:
            ended = None if problem else Ended.read(folder)
            return [not_refused(job, problem, ended) for _ in parts]
        if problem:
            return [[problem] for _ in parts]
        found = faults(parts, job, Ended.read(folder))
        for part, event, one in zip(parts, events, found, strict=True):
            if part.case.event and not event.has_happened:
                one.append(f"no client trained in a round: {part.case.event} never happened")
        return found

    def _ended(self, worker: Worker, job: Job, events: Sequence[Events]) -> str:
        """Have a job run, and return what kept it from ending; empty when it ended."""
        deadline = time.monotonic() + job.pace.job_seconds
        worker.begin(job.folder)
        while (said := worker.answer(_GLANCE_SECONDS)) is None:
            for one in events:
                one.look()
            if time.monotonic() > deadline:
                worker.end(at_once=True)
                return f"the job did not end within {job.pace.job_seconds:g} s"
        return f"the job was stopped: {said['error']}" if said["error"] else ""

    def _prepared(self, company: Sequence[Case], pace: Pace, folder: Path, signals: Path) -> tuple[Job, list[Part]]:
        from adapters.conformance import training

        is_summed, count_honest = company[0].is_summed, company[0].honest
        if is_summed:
            # The rest of two groups, whichever of their cases are run.
            count_honest += _SUMMED_TOGETHER - len(company)
        honest = [folder / f"client-{number}" for number in range(count_honest)]
        self._parties.enrol_all(honest)
        for number, place in enumerate(honest):
            Script("honest", number, signals, pace.training_seconds).write(place)
        parts = [
            self._joined(case, count_honest + place, folder, signals, pace.training_seconds)
            for place, case in enumerate(company)
        ]
        job = Job(
            folder,
            self._parties.aggregator,
            self._parties.gateway,
            (*honest, *(part.cast.folder for part in parts)),
            1 if is_summed else ROUNDS,
            AUDIENCE,
            SUMMED_MODEL if is_summed else MODEL,
            pace,
            count_honest + len(parts) if is_summed else count_honest,
            is_summed,
        )
        job.write(training.initial())
        return job, parts

    def _joined(self, case: Case, number: int, folder: Path, signals: Path, seconds: float) -> Part:
        """Return a case's part in a job, with its client's folder and script made."""
        place, victim = folder / f"client-{number}", folder / "client-0"
        kept = None
        if case.behaviour == "expired-pull" and self._expired is not None:
            shutil.copytree(self._expired.folder, place)
            name, kept = self._expired.name, self._expired.kept
        else:
            name = self._sixth(case, place, victim)
        is_elsewhere = "other-round" in case.behaviour
        Script(
            behaviour=case.behaviour,
            number=0 if case.standing == "twin" else number,
            signals=signals,
            training_seconds=seconds,
            victim=victim,
            decoy=self._parties.open_decoy(f"decoy-{folder.name}-{number}", [name]) if is_elsewhere else None,
            kept=kept,
            event=case.event,
            moment=case.moment,
        ).write(place)
        return Part(case, Cast(name, place, number), lambda: self._parties.denials(name))

    def _sixth(self, case: Case, folder: Path, victim: Path) -> str:
        if case.standing == "stranger":
            return self._parties.invent(folder)
        if case.standing == "twin":
            return self._parties.copy(victim, folder)
        name = self._parties.enrol(folder, "consumer" if case.standing == "consumer" else "trainer")
        if case.standing == "quarantined":
            self._parties.set_status(name, "quarantined")
        return name


def _pace_of(worker: Worker, company: Sequence[Case]) -> Pace:
    """Return how long things may take in a job: longer where many start at once and none keeps the others waiting."""
    if company[0].is_summed:
        return replace(worker.pace, training_seconds=worker.pace.training_seconds * _SUMMING)
    is_unhurried = worker.together > 1 and all(case.company != "leaving" for case in company)
    seconds = worker.pace.training_seconds * (_UNHURRIED if is_unhurried else 1.0)
    return replace(worker.pace, training_seconds=seconds)


def companies(cases: Sequence[Case], most: int) -> list[list[Case]]:
    """Return which cases share a job: those of one company, so many at most; every other has one of its own.

    Args:
        cases: to be run.
        most: clients that a case is about in one job.
    """
    found: list[list[Case]] = []
    by_company: dict[str, list[list[Case]]] = {}
    for case in cases:
        begun = by_company.setdefault(case.company, []) if case.company else []
        if begun and len(begun[-1]) < (_SUMMED_TOGETHER if case.is_summed else most):
            begun[-1].append(case)
        else:
            begun.append([case])
            found.append(begun[-1])
    return found


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
