"""One federation with the same attackers on several backends: about the same behaviour the same must be decided.

Each backend gets a control plane of its own, with fresh clients: nothing that one backend's clients did is known to the
next. Clients train as the kit's do (`adapters.conformance.training`), so what they send is the same to the last digit
that matters, and so is the evidence on it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.conformance.job import Ended, Job
from adapters.conformance.kit import private_folder
from adapters.conformance.parties import AUDIENCE, MODEL, Parties
from adapters.conformance.plane import Plane
from adapters.conformance.script import Script, release
from adapters.conformance.worker import Worker, WorkerFailed
from controlplane.contracts.decision import DecisionRecord

BEHAVIOURS = (*("honest",) * 5, "sign-flip", "sleeper", "tampered", "replayed-submission")
"""What each client does: five are honest, four are not, each in a way of its own."""

ROUNDS = 3

_APART = "subject_active"
_PULL, _SUBMIT = "model_access", "gradient_submission"
_GLANCE_SECONDS = 0.05


@dataclass(frozen=True, order=True)
class Fact:
    """Something that was decided about a client.

    Attributes:
        round: its number, from 0.
        action: ``model_access`` or ``gradient_submission``.
        outcome: allow, deny or error.
        reasons: codes of what was missing.
    """

    round: int
    action: str
    outcome: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Decided:
    """What was decided about one client of a federation.

    Attributes:
        client: its number.
        behaviour: what it did.
        facts: the decisions, each once however often it was asked for.
        status: how it stood in the end, as ``active`` or ``quarantined``.
    """

    client: int
    behaviour: str
    facts: frozenset[Fact]
    status: str

    def summary(self) -> dict[str, Any]:
        """Return it in figures: rounds are counted from 1."""
        return {
            "client": self.client,
            "behaviour": self.behaviour,
            "accepted": sorted(self._rounds(_SUBMIT, "allow")),
            "refused": sorted(self._rounds(_SUBMIT, "deny")),
            "status": self.status,
        }

    def _rounds(self, action: str, outcome: str) -> set[int]:
        return {fact.round + 1 for fact in self.facts if (fact.action, fact.outcome) == (action, outcome)}


@dataclass(frozen=True)
class Federation:
    """One backend's run.

    Attributes:
        module: the backend's.
        decided: about each client, in order of their numbers.
        ended: the job's end.
        seconds: that it took.
    """

    module: str
    decided: tuple[Decided, ...]
    ended: Ended
    seconds: float


def run(module: str, python: Path | None = None) -> Federation:
    """Run the federation on a backend.

    Args:
        module: the backend's, by its import name.
        python: interpreter of the environment that has the backend's packages; none for this one.

    Raises:
        WorkerFailed: the backend's process could not run the job, or it did not end.
        PlaneFailed: the control plane does not start.
        ControlPlaneError: it does not enrol, or not tell what it decided.
    """
    began = time.monotonic()
    with private_folder() as folder, Worker(module, python) as worker, _parties(folder) as parties:
        job, names = _prepared(folder / "job", parties, worker)
        try:
            _wait(worker, job)
        finally:
            release(job.folder / "signals")
        ended = Ended.read(job.folder)
        parties.wait_until_ready()
        decided = _decided(parties, names)
    return Federation(module, decided, ended, time.monotonic() - began)


def differences(one: Federation, other: Federation) -> list[str]:
    """Return what was decided otherwise in another federation; nothing when they agree.

    Args:
        one: what it is compared with.
        other: the other one.
    """
    from adapters.conformance import training

    found = []
    for first, second in zip(one.decided, other.decided, strict=True):
        who = f"client {first.client} ({first.behaviour})"
        found += [f"{who}: {said(fact)} with {one.module} alone" for fact in sorted(first.facts - second.facts)]
        found += [f"{who}: {said(fact)} with {other.module} alone" for fact in sorted(second.facts - first.facts)]
        if first.status != second.status:
            found.append(f"{who}: {first.status} with {one.module}, {second.status} with {other.module}")
    beside = training.distance(other.ended.state, one.ended.state)
    if beside > training.TOLERANCE:
        found.append(f"the model of {other.module} is {beside:.3f} of the way beside that of {one.module}")
    return found


def said(fact: Fact) -> str:
    """Return a fact in words."""
    why = f" ({', '.join(fact.reasons)})" if fact.reasons else ""
    return f"round {fact.round + 1} {fact.action} {fact.outcome}{why}"


@contextmanager
def _parties(folder: Path) -> Iterator[Parties]:
    plane = Plane(folder)
    try:
        plane.start()
        with Parties(folder / "parties", plane.url, plane.state_dir) as parties:
            yield parties
    finally:
        plane.stop()


def _prepared(folder: Path, parties: Parties, worker: Worker) -> tuple[Job, list[str]]:
    from adapters.conformance import training

    signals = folder / "signals"
    signals.mkdir(mode=0o700, parents=True)
    clients = tuple(folder / f"client-{number}" for number in range(len(BEHAVIOURS)))
    names = parties.enrol_all(clients)
    for number, (place, behaviour) in enumerate(zip(clients, BEHAVIOURS, strict=True)):
        Script(behaviour, number, signals, worker.pace.training_seconds).write(place)
    job = Job(
        folder,
        parties.aggregator,
        parties.gateway,
        clients,
        ROUNDS,
        AUDIENCE,
        MODEL,
        worker.pace,
        BEHAVIOURS.count("honest"),
    )
    job.write(training.initial())
    return job, names


def _wait(worker: Worker, job: Job) -> None:
    """Return once a job has ended.

    Raises:
        WorkerFailed: it was stopped, or takes longer than it may for so many rounds.
    """
    seconds = job.pace.job_seconds * ROUNDS
    deadline = time.monotonic() + seconds
    worker.begin(job.folder)
    while (answer := worker.answer(_GLANCE_SECONDS)) is None:
        if time.monotonic() > deadline:
            raise WorkerFailed(f"the job did not end within {seconds:g} s")
    if answer["error"]:
        raise WorkerFailed(f"the job was stopped: {answer['error']}")


def _decided(parties: Parties, names: list[str]) -> tuple[Decided, ...]:
    records = {name: parties.decisions(name) for name in names}
    opened = sorted({(record.time, name) for found in records.values() for record in found if (name := _round(record))})
    numbers: dict[str, int] = {}
    for _, name in opened:
        numbers.setdefault(name, len(numbers))
    return tuple(
        Decided(number, BEHAVIOURS[number], _facts(records[name], numbers), parties.status(name))
        for number, name in enumerate(names)
    )


def _facts(records: list[DecisionRecord], numbers: Mapping[str, int]) -> frozenset[Fact]:
    """Return what was decided, by what counted in the end.

    A client asks for a capability first, and its update is ruled on later, or it is asked for at two enforcement
    points: in a round, a denial is the word that counts. Whether one that is set apart is asked, or asks, is a matter
    of the backend; that it is denied then is none.
    """
    facts = {Fact(numbers[_round(one)], one.action, one.outcome, _reasons(one)) for one in records if _round(one)}
    denied = {(fact.round, fact.action) for fact in facts if fact.outcome != "allow"}
    return frozenset(
        fact
        for fact in facts
        if not (fact.outcome == "allow" and (fact.round, fact.action) in denied)
        and not (fact.action == _PULL and _APART in fact.reasons)
    )


def _reasons(record: DecisionRecord) -> tuple[str, ...]:
    return tuple(sorted({reason.code for reason in record.reasons}))


def _round(record: DecisionRecord) -> str:
    context = record.facts.get("context")
    found = context.get("round") if isinstance(context, Mapping) else None
    return str(found.get("id", "")) if isinstance(found, Mapping) else ""
