"""Rollbacks from end to end: ordered at a real control plane, carried out by a real guard, and told."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.errors import Unavailable
from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from adapters.rollback import ArchiveError, DeltaArchive, Superseded, digest_of_weights, moved, verify
from tests.adapters.conftest import AUDIENCE, update_of
from tests.support import MODEL, ControlPlane

Enrol = Callable[..., Member]
State = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def aggregator(enrol: Enrol) -> Member:
    return enrol("aggregator")


@pytest.fixture
def operator(enrol: Enrol) -> Member:
    return enrol("operator")


@pytest.fixture
def archiving(aggregator: Member, folder: Path) -> Iterator[Callable[..., Guard]]:
    """Makes guards of one aggregator that keep the same archive, as a job does that is started again."""
    made: list[DeltaArchive] = []

    def guard(**options: Any) -> Guard:
        for earlier in made:
            earlier.close()
        made.append(DeltaArchive(folder, aggregator.key))
        given = {"audience": AUDIENCE, "model": MODEL, "patience_seconds": 0.5, "archive": made[-1], **options}
        return Guard(aggregator.plane, **given)

    yield guard
    for archive in made:
        archive.close()


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(6)]


class Job:
    """Rounds of members whose updates are known, so that the model can be computed beside the archive."""

    def __init__(self, guard: Guard, members: list[Member], state: State) -> None:
        self.guard, self.members, self.state = guard, members, state
        self.rounds: list[tuple[State, dict[str, State]]] = []

    def round(self, *, absent: Member | None = None, flipped: Member | None = None) -> str:
        present = [member for member in self.members if member is not absent]
        sent: dict[str, State] = {}
        with GuardedRound(self.guard, self.state, present) as guarded:
            for member in guarded.allowed():
                seed = 100 * len(self.rounds) + self.members.index(member)
                sent[member.id] = update_of(self.state, seed)
                if member is flipped:
                    sent[member.id] = {name: -3 * tensor for name, tensor in sent[member.id].items()}
                guarded.submit(member, sent[member.id], 10)
            before, self.state = self.state, guarded.aggregate()
        assert guarded.gated is not None
        accepted = {ruling.subject: dict(ruling.update or {}) for ruling in guarded.gated.accepted}
        honest = sent.keys() - ({flipped.id} if flipped else set())
        assert accepted.keys() == honest, [ruling.cause for ruling in guarded.gated.rulings]
        self.rounds.append((before, accepted))
        return self.guard.report.rounds[-1].round_id

    def without(self, *subjects: str) -> State:
        """The model of a run in which these subjects' updates had been left out of the same ones."""
        state = self.rounds[0][0]
        for _, updates in self.rounds:
            used = [update for subject, update in updates.items() if subject not in subjects]
            share = 10 / (10 * len(used))
            step = {name: torch.zeros(tensor.shape, dtype=torch.float64) for name, tensor in used[0].items()}
            for update in used:
                step = {name: step[name] + update[name].double() * share for name in step}
            state = moved(state, step)
        return state


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_operators_order_is_carried_out_after_the_next_round_and_told(
    archiving: Callable[..., Guard], members: list[Member], state: State, operator: Member, folder: Path
) -> None:
    job = Job(archiving(), members, state)
    first, *_ = [job.round() for _ in range(3)]
    attacker = members[-1]
    ordered = operator.plane.order_rollback(first, [attacker.id], "It planted a backdoor.")
    assert ordered.state == "ordered"
    polluted = job.state
    job.round()
    assert equal(job.state, job.without(attacker.id))
    (done,) = job.guard.report.rounds[-1].rollbacks
    assert (done.order, done.result.state, done.result.rounds, done.result.left_out, done.is_told) == (
        ordered.id,
        "done",
        4,
        4,
        True,
    )
    (told,) = [one for one in operator.plane.rollbacks(state="done") if one.id == ordered.id]
    assert (told.rounds, told.left_out) == (4, 4)
    assert told.model_digest == digest_of_weights({name: job.state[name] for name in ("bias", "weight")})
    assert job.guard.report.rollbacks == {"done": 1}
    found = verify(folder)
    assert found.holds, found.faults
    # The model of before is not begun with again.
    with pytest.raises(Superseded, match="rolled back"):
        job.guard.seal(polluted, [members[0].id])
    # The next round begins with the rebuilt one, which the control plane sees.
    job.round(absent=attacker)
    assert verify(folder).holds
    assert ordered.id in [one.id for one in operator.plane.rollbacks(state="done")]


def test_who_is_set_apart_takes_what_it_contributed_with_it(
    archiving: Callable[..., Guard], members: list[Member], state: State, operator: Member, folder: Path
) -> None:
    """Nobody orders it: the response policy does, with the verdict that sets the attacker apart."""
    job = Job(archiving(), members, state)
    for _ in range(3):
        job.round()
    attacker = members[-1]
    for _ in range(5):
        job.round(flipped=attacker)
        if job.guard.report.rounds[-1].quarantined:
            break
    assert job.guard.report.rounds[-1].quarantined == (attacker.id,)
    (done,) = job.guard.report.rounds[-1].rollbacks
    assert (done.subjects, done.result.state, done.result.left_out) == ((attacker.id,), "done", 3)
    assert equal(job.state, job.without(attacker.id))
    (told,) = [one for one in operator.plane.rollbacks(state="done") if one.id == done.order]
    assert told.ordered_by == "policy"
    record = operator.plane.decision(told.decision_id)
    assert record.obligations.rollback_rounds is not None
    found = verify(folder)
    assert found.holds, found.faults


def test_the_archive_names_what_the_control_plane_admitted(
    archiving: Callable[..., Guard], members: list[Member], state: State, operator: Member, folder: Path
) -> None:
    job = Job(archiving(), members, state)
    name = job.round()
    admitted = {(one.subject, one.update_digest, one.decision_id) for one in operator.plane.contributions(name)}
    with DeltaArchive(folder) as archive:
        entry = archive.standings()[0].entry
    assert {(one.subject, one.update_digest, one.decision_id) for one in entry.updates} == admitted
    assert len(admitted) == 6


def test_what_could_not_be_told_is_told_with_the_next_round_and_not_done_twice(
    archiving: Callable[..., Guard],
    members: list[Member],
    state: State,
    operator: Member,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(archiving(), members, state)
    first = job.round()
    operator.plane.order_rollback(first, [members[0].id], "why not")

    def lost(*_: object) -> object:
        raise Unavailable("the cable is cut")

    with monkeypatch.context() as cut:
        cut.setattr(type(job.guard._plane), "report_rollback", lost)
        job.round()
    (done,) = job.guard.report.rounds[-1].rollbacks
    assert (done.result.state, done.is_told) == ("done", False)
    cleaned = job.state
    job.guard = archiving()
    job.rounds.clear()
    job.round(absent=members[0])
    (told,) = job.guard.report.rounds[-1].rollbacks
    assert (told.order, told.result, told.is_told) == (done.order, done.result, True)
    assert job.guard._undoing is not None
    kinds = [entry.kind for entry in job.guard._undoing.archive.entries]
    assert kinds == ["round", "round", "rollback", "round"]
    assert equal(job.rounds[0][0], cleaned)


def test_a_rebuild_that_is_stopped_goes_on_after_the_next_round(
    archiving: Callable[..., Guard], members: list[Member], state: State, operator: Member
) -> None:
    allowed = [False]
    job = Job(archiving(rebuilding=lambda so_far, _: allowed[0] or so_far < 1), members, state)
    first = job.round()
    job.round()
    ordered = operator.plane.order_rollback(first, [members[0].id], "why not")
    job.round()
    assert job.guard.report.rounds[-1].rollbacks == ()
    assert ordered.id in [one.id for one in operator.plane.rollbacks(state="ordered")]
    allowed[0] = True
    job.round()
    assert equal(job.state, job.without(members[0].id))
    assert [one.result.state for one in job.guard.report.rounds[-1].rollbacks] == ["done"]


def test_a_damaged_archive_rebuilds_nothing_and_the_order_fails(
    archiving: Callable[..., Guard], members: list[Member], state: State, operator: Member, folder: Path
) -> None:
    job = Job(archiving(), members, state)
    first = job.round()
    (folder / "entries/00000000/0003.safetensors").write_bytes(b"something else")
    ordered = operator.plane.order_rollback(first, [members[0].id], "why not")
    job.round()
    assert equal(job.state, job.without())
    (told,) = [one for one in operator.plane.rollbacks(state="failed") if one.id == ordered.id]
    assert "cannot be read as tensors" in told.fault
    assert job.guard.report.rollbacks == {"failed": 1}


def test_a_round_that_is_not_kept_any_more_fails_the_order_and_what_is_kept_is_undone(
    aggregator: Member, members: list[Member], state: State, operator: Member, folder: Path
) -> None:
    with DeltaArchive(folder, aggregator.key, rounds=2) as archive:
        guard = Guard(aggregator.plane, audience=AUDIENCE, model=MODEL, archive=archive)
        job = Job(guard, members, state)
        first, *_ = [job.round() for _ in range(3)]
        ordered = operator.plane.order_rollback(first, [members[0].id], "why not")
        job.round()
        job.rounds = job.rounds[2:]
        assert equal(job.state, job.without(members[0].id))
    (told,) = [one for one in operator.plane.rollbacks(state="failed") if one.id == ordered.id]
    assert "does not hold the round" in told.fault
    assert told.left_out == 2


def test_without_an_archive_an_order_stays_outstanding(
    guard: Guard, members: list[Member], state: State, enrol: Enrol
) -> None:
    job = Job(guard, members, state)
    first = job.round()
    operator = enrol("operator")
    ordered = operator.plane.order_rollback(first, [members[0].id], "why not")
    job.round()
    assert equal(job.state, job.without())
    assert job.guard.report.archive is None
    assert ordered.id in [one.id for one in operator.plane.rollbacks(state="ordered")]


def test_a_round_that_cannot_be_written_is_counted_and_the_job_goes_on(
    archiving: Callable[..., Guard],
    members: list[Member],
    state: State,
    operator: Member,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(archiving(), members, state)
    first = job.round()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("adapters.rollback.folder.write_tensors", full)
        job.round()
    assert job.guard.report.drops["archive", "unavailable"] == 1
    assert job.guard.report.archive is not None
    assert job.guard.report.archive.rounds == 1
    # The gap is seen: what came before it can no longer be told apart from what is in the model.
    ordered = operator.plane.order_rollback(first, [members[0].id], "why not")
    job.round()
    (told,) = [one for one in operator.plane.rollbacks(state="failed") if one.id == ordered.id]
    assert "in between" in told.fault
    assert told.left_out == 1


def test_a_guard_opens_the_archive_of_its_folder_and_closes_it(
    plane: ControlPlane, tmp_path: Path, folder: Path
) -> None:
    party = tmp_path / "aggregator"
    token = plane.token(["aggregator"], "core")
    Member.enrol(party, plane.url, token, roles=["aggregator"], segment="core").close()
    for _ in range(2):
        with Guard.open(party, audience=AUDIENCE, model=MODEL, archive=folder, standings=None) as guard:
            assert guard.report.archive is None
            with pytest.raises(ArchiveError, match="another process"):
                Guard.open(party, audience=AUDIENCE, model=MODEL, archive=folder, standings=None)
        with pytest.raises(TypeError):
            Guard.open(party, audience=AUDIENCE, model=MODEL, archive=folder, standings=None, colour="red")
