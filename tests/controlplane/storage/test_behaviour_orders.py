"""A response and the orders that it asks for are one transaction: both are kept, or neither."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text

from controlplane.capabilities.revoking import status_notice
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Device
from controlplane.contracts.rollback import Contribution, Rollback, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage import undoing as giving
from controlplane.storage.undoing import Ordered, Undoing
from tests.controlplane.behaving import NOW, observed, score, verdict
from tests.controlplane.storage.breaking import break_writes

MODEL = "smart-home-intents"
NAMES = ("dev-a", "dev-b", "dev-c")

NewDevice = Callable[..., Device]
NewRound = Callable[..., Round]


def undoing(subject: str, number: int = 1, **changes: Any) -> Undoing:
    known = Undoing(f"rb-{number}", MODEL, 20, subject, "why not", "policy", NOW + number, f"dec-{number}")
    return known._replace(**changes)


def are_new(orders: Sequence[Sequence[Ordered]]) -> list[bool]:
    return [any(one.is_new for one in by_aggregator) for by_aggregator in orders]


def contributed(subject: str, *names: str) -> list[Contribution]:
    digest = "sha256:" + "e" * 64
    return [
        Contribution(round_id=name, subject=subject, update_digest=digest, decision_id=f"dec-{name}", time=NOW)
        for name in names
    ]


@pytest.fixture(autouse=True)
async def enrolled(store: Store, new_device: NewDevice, new_round: NewRound) -> None:
    for name in NAMES:
        await store.devices.add(new_device(id=name))
    for number in range(1, 5):
        await store.rounds.add(new_round(id=f"r{number}", opens_at=NOW + number))
    await store.rounds.add(new_round(id="f1", model="fall-detection", opens_at=NOW))


async def outstanding(store: Store, model: str = MODEL) -> list[tuple[str, str, list[str]]]:
    return [(one.id, one.round_id, one.subjects) for one in await store.rollbacks.outstanding(model)]


async def test_an_order_is_given_with_the_response_and_names_who_asked_for_it(store: Store, replica: Store) -> None:
    await store.behaviour.apply([observed("dev-a")], contributed("dev-a", "r2", "r3"))
    recorded = await store.behaviour.record(
        [observed("dev-a", 1, becomes="quarantined")], orders=[undoing("dev-a"), undoing("dev-a", 2, model="unknown")]
    )
    assert recorded.stale == frozenset()
    [found] = await replica.rollbacks.outstanding(MODEL)
    assert recorded.orders == [((found, True),), ()]
    assert found == Rollback(
        id="rb-1",
        model=MODEL,
        round_id="r2",
        subjects=["dev-a"],
        reason="why not",
        ordered_by="policy",
        ordered_at=NOW + 1,
        decision_id="dec-1",
        state="ordered",
    )


@pytest.mark.parametrize(("latest", "begins"), [(2, "r3"), (3, "r2"), (1, "r4")])
async def test_what_the_same_transaction_contributes_is_undone_too_and_counts_as_a_round(
    store: Store, latest: int, begins: str
) -> None:
    await store.behaviour.apply([observed("dev-a")], contributed("dev-a", "r2", "r3"))
    sent = [observed("dev-a", 1, becomes="quarantined"), observed("dev-b")]
    given = [*contributed("dev-a", "r4"), *contributed("dev-b", "r4")]
    await store.behaviour.record(sent, given, None, [undoing("dev-a", latest=latest)])
    assert await outstanding(store) == [("rb-1", begins, ["dev-a"])]


async def test_who_contributes_for_the_first_time_in_the_same_transaction_is_undone(store: Store) -> None:
    sent = [observed("dev-a", becomes="quarantined")]
    await store.behaviour.record(sent, contributed("dev-a", "r1"), None, [undoing("dev-a")])
    assert await outstanding(store) == [("rb-1", "r1", ["dev-a"])]


@pytest.mark.parametrize("broken", ["INSERT ON rollbacks", "INSERT ON security_events", "UPDATE ON rollbacks"])
async def test_where_either_cannot_be_written_neither_is(store: Store, broken: str) -> None:
    await store.behaviour.apply([observed("dev-a")], contributed("dev-a", "r2", "r3"))
    if broken.startswith("UPDATE"):
        # Then an outstanding order has to begin earlier.
        narrow = observed("dev-b"), [undoing("dev-a", 9, latest=1)]
        await store.behaviour.record([narrow[0]], (), None, narrow[1])
    before = await store.behaviour.kept(NAMES), await outstanding(store)
    await break_writes(store, broken)
    sent = observed("dev-a", 1, becomes="quarantined", score=score(1.0), verdict=verdict("dev-a"))
    notice = status_notice(["dev-a"], "quarantined", NOW, "policy", None)
    with pytest.raises(StoreUnavailable):
        await store.behaviour.record([sent], contributed("dev-a", "r4"), lambda _: notice, [undoing("dev-a")])
    assert (await store.behaviour.kept(NAMES), await outstanding(store)) == before
    assert await store.contributions.of_round("r4") == []
    assert await store.observations.verdicts("dev-a", 10) == []
    assert await store.events.after(0) == []
    assert await store.revocations.live(NOW, ["subject"]) == []


async def test_an_outstanding_order_that_nobody_of_us_wrote_keeps_the_response_from_being_written(store: Store) -> None:
    await store.behaviour.apply([observed("dev-a")], contributed("dev-a", "r2"))
    await store.behaviour.record([observed("dev-b")], (), None, [undoing("dev-a")])
    await store._database.change("spoil", text("UPDATE rollbacks SET subjects = 'x'"))
    with pytest.raises(StoreUnavailable, match="order a rollback"):
        await store.behaviour.record([observed("dev-a", 1, becomes="quarantined")], (), None, [undoing("dev-a", 2)])
    assert (await store.behaviour.kept(["dev-a"]))["dev-a"].status == "active"


async def test_of_a_response_that_is_stale_no_order_is_given_and_of_the_others_it_is(store: Store) -> None:
    await store.behaviour.apply([observed(name) for name in NAMES[:2]], contributed("dev-a", "r2"))
    told: list[frozenset[str]] = []

    def _tell(kept: Collection[str]) -> Notice:
        told.append(frozenset(kept))
        return Notice()

    sent = [observed("dev-b", 1, becomes="quarantined"), observed("dev-a", 0, becomes="quarantined")]
    given = contributed("dev-b", "r3")
    recorded = await store.behaviour.record(sent, given, _tell, [undoing("dev-a"), undoing("dev-b", 3)])
    assert recorded.stale == {"dev-a"}
    assert are_new(recorded.orders) == [False, True]
    assert await outstanding(store) == [("rb-3", "r3", ["dev-b"])]
    assert told == [{"dev-b"}]
    again = [observed("dev-a", 1, becomes="quarantined")]
    assert (await store.behaviour.record(again, (), None, [undoing("dev-a", 2)])).stale == frozenset()
    assert await outstanding(store) == [("rb-2", "r2", ["dev-a"]), ("rb-3", "r3", ["dev-b"])]


async def test_each_aggregator_is_told_of_its_own_first_round_however_many_the_others_had_since(
    store: Store, new_round: NewRound
) -> None:
    await store.rounds.add(new_round(id="b1", opened_by="agg-b", opens_at=NOW + 1.5))
    for number in range(20):
        await store.rounds.add(new_round(id=f"a{number}", opens_at=NOW + 10 + number))
    later = [one for number in range(20) for one in contributed("dev-b", f"a{number}")]
    await store.behaviour.apply([observed(name) for name in NAMES[:2]], [*contributed("dev-a", "b1", "r2"), *later])
    sent = [observed("dev-a", 1, becomes="quarantined")]
    await store.behaviour.record(sent, (), None, [undoing("dev-a", latest=20)])
    assert [one.round_id for one in await store.rollbacks.outstanding(MODEL, "agg-b")] == ["b1"]
    assert await store.rollbacks.outstanding(MODEL, (new_round().opened_by)) == []
    # The other has an order of its own once it looks back as far.
    again = [observed("dev-a", 2)]
    recorded = await store.behaviour.record(again, (), None, [undoing("dev-a", 2, latest=30)])
    assert [(one.rollback.round_id, one.is_new) for one in recorded.orders[0] if one.rollback] == [
        ("r2", True),
        ("b1", False),
    ]
    assert [one.round_id for one in await store.rollbacks.outstanding(MODEL, new_round().opened_by)] == ["r2"]


async def test_where_too_many_wait_the_response_is_kept_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.storage.undoing.MOST_OUTSTANDING", 1)
    await store.behaviour.apply([observed(name) for name in NAMES], [*contributed("dev-a", "r2")])
    sent = [observed(name, 1, becomes="quarantined") for name in NAMES]
    given = [*contributed("dev-b", "r3"), *contributed("dev-c", "f1")]
    orders = [undoing("dev-a"), undoing("dev-b", 2), undoing("dev-c", 3, model="fall-detection")]
    recorded = await store.behaviour.record(sent, given, None, orders)
    assert recorded.stale == frozenset()
    assert are_new(recorded.orders) == [True, False, True]
    assert recorded.orders[1] == ((None, False),)
    assert {one.status for one in (await store.behaviour.kept(NAMES)).values()} == {"quarantined"}
    assert len(await outstanding(store)) == len(await outstanding(store, "fall-detection")) == 1


async def test_an_order_is_given_once_while_it_is_outstanding(store: Store, replica: Store) -> None:
    sent = [observed(name) for name in NAMES]
    await store.behaviour.apply(sent, [one for name in NAMES for one in contributed(name, "r2", "r3")])

    async def _set_apart(number: int) -> list[bool]:
        """Have each set apart by whoever is first, and the orders of both told apart by their names."""
        side, name = (store, replica)[number % 2], NAMES[number % 3]
        kept = (await side.behaviour.kept([name]))[name]
        response = observed(name, kept.version, becomes="quarantined")
        recorded = await side.behaviour.record([response], (), None, [undoing(name, number)])
        return are_new(recorded.orders)

    given = await asyncio.gather(*(_set_apart(number) for number in range(24)))
    assert sum(sum(one) for one in given) == 3
    assert sorted(subjects for _, _, subjects in await outstanding(store)) == [[name] for name in NAMES]


async def test_orders_of_one_transaction_for_the_same_subject_become_one(store: Store) -> None:
    sent = [observed("dev-a", becomes="quarantined")]
    orders = [undoing("dev-a", 1, latest=1), undoing("dev-a", 2, latest=3), undoing("dev-a", 3, latest=2)]
    recorded = await store.behaviour.record(sent, contributed("dev-a", "r1", "r2", "r3"), None, orders)
    given = [one for (one,) in recorded.orders]
    became = [(one.rollback.id, one.rollback.round_id, one.is_new) for one in given if one.rollback]
    assert became == [("rb-1", "r3", True), ("rb-1", "r1", False), ("rb-1", "r1", False)]
    assert await outstanding(store) == [("rb-1", "r1", ["dev-a"])]


async def test_who_writes_of_the_same_models_at_the_same_time_never_waits_in_a_ring(
    store: Store, replica: Store, new_round: NewRound, new_device: NewDevice
) -> None:
    models = [f"m{number}" for number in range(6)]
    for model in models:
        await store.rounds.add(new_round(id=f"{model}-1", model=model))
    subjects = [f"dev-{number}" for number in range(16)]
    for name in subjects:
        await store.devices.add(new_device(id=name))
    names = [f"{model}-1" for model in models]
    await store.behaviour.apply(
        [observed(name) for name in subjects], [one for name in subjects for one in contributed(name, *names)]
    )

    async def _respond(number: int) -> None:
        side, order = (store, replica)[number % 2], models[:: 1 if number % 4 < 2 else -1]
        pair = subjects[2 * number : 2 * number + 2]
        orders = [undoing(name, model=model, id=f"rb-{name}-{model}") for model in order for name in pair]
        notice = status_notice(pair, "quarantined", NOW, "policy", None)
        sent = [observed(name, 1, becomes="quarantined") for name in pair]
        assert (await side.behaviour.record(sent, (), lambda _: notice, orders)).stale == frozenset()

    async def _order(number: int) -> None:
        model = models[number % len(models)]
        by_a_person = Rollback(
            id=f"rb-{number}",
            model=model,
            round_id=f"{model}-1",
            subjects=[f"dev-{number}"],
            reason="why not",
            ordered_by="op-1",
            ordered_at=NOW,
            decision_id="dec-1",
            state="ordered",
        )
        await (store, replica)[number % 2].rollbacks.order(by_a_person)

    await asyncio.gather(*(_respond(number) for number in range(8)), *(_order(number) for number in range(16)))
    for model in models:
        found = [subjects for _, _, subjects in await outstanding(store, model)]
        assert sorted(found) == sorted([name] for name in subjects)


async def test_models_are_locked_in_the_order_of_their_keys_after_the_subjects_and_before_the_events(
    postgres_url: str, new_device: NewDevice, new_round: NewRound
) -> None:
    store = await open_store(postgres_url)
    models = [f"m{number}" for number in range(4)]
    await store.devices.add(new_device(id="dev-a"))
    for model in models:
        await store.rounds.add(new_round(id=f"{model}-1", model=model))
    other = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    keys: dict[str, int] = {model: await other.fetchval("SELECT hashtext($1)", model) for model in models}
    first = min(models, key=keys.__getitem__)
    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(8418, $1)", keys[first])
        last_named = [*(model for model in models if model != first), first]
        orders = [undoing("dev-a", number, model=model) for number, model in enumerate(last_named)]
        given = contributed("dev-a", *(f"{model}-1" for model in models))
        notice = status_notice(["dev-a"], "quarantined", NOW, "policy", None)
        sent = [observed("dev-a", becomes="quarantined")]
        recording = asyncio.create_task(store.behaviour.record(sent, given, lambda _: notice, orders))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        # It waits for the first, holds none of the others nor the turn of events, and holds its subject.
        assert await other.fetchval(
            "SELECT bool_and(pg_try_advisory_xact_lock(8418, key)) FROM unnest($1::int[]) AS key", list(keys.values())
        )
        assert await other.fetchval("SELECT pg_try_advisory_xact_lock(8417)")
        found = await other.fetch("SELECT 1 FROM devices WHERE id = 'dev-a' FOR UPDATE SKIP LOCKED")
        assert found == []
    recorded = await recording
    assert are_new(recorded.orders) == [True] * 4
    await other.close()
    await store.close()


async def test_an_order_that_ends_just_as_it_is_to_begin_earlier_is_given_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.behaviour.apply([observed("dev-a")], contributed("dev-a", "r1", "r3"))
    await store.behaviour.record([observed("dev-b")], (), None, [undoing("dev-a", 1, latest=1)])
    look = giving._book

    async def _ended_since(connection: Any, model: str, aggregator: str) -> Any:
        found = await look(connection, model, aggregator)
        await connection.execute(text("UPDATE rollbacks SET state = 'done', ended_at = 1"))
        return found

    monkeypatch.setattr(giving, "_book", _ended_since)
    recorded = await store.behaviour.record([observed("dev-a", 1)], (), None, [undoing("dev-a", 2)])
    assert are_new(recorded.orders) == [True]
    assert await outstanding(store) == [("rb-2", "r1", ["dev-a"])]
    assert not await store.rollbacks.end("rb-1", RollbackResult(round_id="r1", state="failed"), NOW)
