"""Marks of tables: whatever changes, of its kind and of no other, another mark says so."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import insert

from controlplane.contracts.attested import KeptResult
from controlplane.contracts.changes import CHANGES
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Device
from controlplane.contracts.rollback import Contribution, Rollback, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.contracts.segmentation import Attachment
from controlplane.storage import Store, changes
from controlplane.storage.changes import Marks
from controlplane.storage.contributions import add_contributions
from controlplane.storage.tables_behaviour import behaviour_scores
from tests.controlplane.behaving import observed, score, verdict
from tests.controlplane.storage.conftest import NOW

NewDevice = Callable[..., Device]
NewRound = Callable[..., Round]


def moved(before: Marks, after: Marks) -> set[str]:
    """Return the kinds whose mark is another."""
    return {kind for kind, mark in after.by_kind.items() if mark != before.by_kind[kind]}


async def told(store: Store, work: Callable[[], Awaitable[object]]) -> set[str]:
    before = await store.changes.marks()
    await work()
    return moved(before, await store.changes.marks())


async def test_where_nothing_happens_no_mark_moves(store: Store, new_device: NewDevice) -> None:
    await store.devices.add(new_device())
    before = await store.changes.marks()
    assert set(before.by_kind) == set(CHANGES) - {"decisions"}
    assert moved(before, await store.changes.marks()) == set()


async def test_what_happens_to_a_device_is_seen(store: Store, new_device: NewDevice) -> None:
    device = new_device()
    assert await told(store, lambda: store.devices.add(device)) == {"devices"}
    result = KeptResult(
        kind="tpm",
        level="hardware",
        reference="house",
        platform="ab",
        verified_at=NOW,
        expires_at=NOW + 60.0,
        decision_id="dec-1",
        result="x",
    )
    keep = store.attestations.keep
    assert await told(store, lambda: keep(device.id, device.key_thumbprint, result)) == {"devices"}
    again = result.model_copy(update={"verified_at": NOW + 1, "expires_at": NOW + 61.0})
    assert await told(store, lambda: keep(device.id, device.key_thumbprint, again)) == {"devices"}
    place = Attachment(device=device.id, address="10.0.0.1", site="north", device_class="camera", recorded_at=NOW)
    assert await told(store, lambda: store.segments.attach(place, "op-1")) == {"devices"}
    seen = observed(device.id, score=score(0.5), verdict=verdict(device.id))
    assert await told(store, lambda: store.behaviour.apply([seen])) == {"devices", "rounds"}


async def test_an_event_is_seen(store: Store, new_device: NewDevice) -> None:
    from controlplane.capabilities.revoking import status_notice

    device = new_device()
    await store.devices.add(device)
    notice: Notice = status_notice([device.id], "quarantined", NOW, "admin")
    assert await told(store, lambda: store.devices.set_status(device.id, "quarantined", notice)) == {"devices"}


async def test_rounds_and_rollbacks_are_seen(store: Store, new_round: NewRound) -> None:
    opened = new_round()
    assert await told(store, lambda: store.rounds.add(opened)) == {"rounds"}
    given = Contribution(
        round_id=opened.id, subject="dev-a", update_digest=f"sha256:{'b' * 64}", decision_id="dec-1", time=NOW
    )
    contribute = store._database.write("contribute", lambda connection: add_contributions(connection, [given]))
    assert await told(store, lambda: contribute) == {"rounds"}
    order = Rollback(
        id="rb-1",
        model=opened.model,
        round_id=opened.id,
        subjects=["dev-a"],
        reason="A backdoor.",
        ordered_by="op-1",
        ordered_at=NOW,
        decision_id="dec-1",
        state="ordered",
    )
    assert await told(store, lambda: store.rollbacks.order(order)) == {"rollbacks"}
    ended = RollbackResult(round_id=opened.id, state="failed", fault="lost")
    assert await told(store, lambda: store.rollbacks.end("rb-1", ended, NOW)) == {"rollbacks"}


async def test_what_is_written_late_with_an_earlier_number_or_time_is_seen(store: Store, new_round: NewRound) -> None:
    def row(number: int) -> dict[str, object]:
        stated = {"channel": "updates", "peers": "any", "round_id": "r", "subject": "a", "score": 0.5, "time": NOW}
        return {"id": number, **stated}

    async def write(number: int) -> None:
        await store._database.change("score", insert(behaviour_scores).values(row(number)))

    await write(10)
    assert "devices" in await told(store, lambda: write(9))
    await store.rounds.add(new_round(id="r1", opens_at=NOW))
    late = new_round(id="r2", opens_at=NOW - 1)
    assert await told(store, lambda: store.rounds.add(late)) == {"rounds"}


@pytest.mark.parametrize(("action", "is_told"), [("inference", True), ("admin", False)])
async def test_decisions_count_unless_they_are_about_this_api(store: Store, action: str, is_told: bool) -> None:
    before = (await store.changes.marks()).place
    assert before == -1
    await store.decisions.add_many([("dec-1", NOW, action, "a", "allow", b"{}")])
    after = (await store.changes.marks()).place
    assert after == 0
    assert await store.changes.decided(before, after) is is_told
    assert not await store.changes.decided(after, after)


async def test_of_many_entries_nobody_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_LOOKED_AT", 2)
    await store.decisions.add_many([(f"dec-{number}", NOW, "admin", "a", "allow", b"{}") for number in range(3)])
    assert await store.changes.decided(-1, 2)
    assert not await store.changes.decided(0, 2)
