"""Orders to rebuild a model: merged while they are outstanding, handed out to whoever opened the round, ended once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.contracts.rollback import Contribution, Rollback, RollbackResult
from controlplane.contracts.rounds import Round
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.contributions import add_contributions
from controlplane.storage.rollbacks import MOST_AT_ONCE, MOST_SUBJECTS_AT_ONCE
from controlplane.storage.undoing import Ordered
from tests.controlplane.storage.conftest import NOW

DIGEST = "sha256:" + "a" * 64


def order(number: int = 1, **changes: Any) -> Rollback:
    known = {
        "id": f"rb-{number:04d}",
        "model": "smart-home-intents",
        "round_id": "r2",
        "subjects": ["dev-x"],
        "reason": "It planted a backdoor.",
        "ordered_by": "policy",
        "ordered_at": NOW + number,
        "decision_id": f"dec-{number}",
        "state": "ordered",
    }
    return Rollback(**{**known, **changes})


def done(**changes: Any) -> RollbackResult:
    known = {"round_id": "r2", "state": "done", "model_digest": DIGEST, "rounds": 3, "left_out": 2}
    return RollbackResult(**{**known, **changes})


async def contribute(store: Store, names: Sequence[str], subjects: Sequence[str]) -> None:
    given = [
        Contribution(round_id=name, subject=subject, update_digest=DIGEST, decision_id="dec-1", time=NOW)
        for name in names
        for subject in subjects
    ]
    await store._database.write("contribute", lambda connection: add_contributions(connection, given))


async def give(store: Store, wanted: Rollback) -> Ordered:
    given = await store.rollbacks.order(wanted)
    assert given is not None
    return given


@pytest.fixture
async def rounds(store: Store, new_round: Callable[..., Round]) -> None:
    for number in range(1, 6):
        opened_by = "agg-2" if number == 5 else "agg-1"
        await store.rounds.add(new_round(id=f"r{number}", opens_at=NOW + number, opened_by=opened_by))
    await store.rounds.add(new_round(id="other", model="fall-detection", opens_at=NOW))
    subjects = ["dev-x", "dev-y", "dev-z", "dev-999", *(f"dev-{number}" for number in range(MOST_AT_ONCE + 3))]
    await contribute(store, ["r1", "r2", "r4", "r5", "other"], subjects)


@pytest.mark.usefixtures("rounds")
async def test_an_order_is_kept_whole_and_handed_out_until_it_has_ended(store: Store, replica: Store) -> None:
    wanted = order(subjects=["dev-y", "dev-x"])
    assert await store.rollbacks.order(wanted) == (wanted.model_copy(update={"subjects": ["dev-x", "dev-y"]}), True)
    (found,) = await replica.rollbacks.outstanding("smart-home-intents")
    assert found == await replica.rollbacks.get("rb-0001")
    assert await replica.rollbacks.end("rb-0001", done(), NOW + 9)
    assert await store.rollbacks.outstanding("smart-home-intents") == []
    ended = await store.rollbacks.get("rb-0001")
    assert ended is not None
    assert (ended.state, ended.ended_at, ended.model_digest, ended.rounds, ended.left_out) == (
        "done",
        NOW + 9,
        DIGEST,
        3,
        2,
    )
    assert not await store.rollbacks.end("rb-0001", done(state="failed"), NOW + 10)
    assert await store.rollbacks.get("rb-0001") == ended


@pytest.mark.usefixtures("rounds")
async def test_what_an_outstanding_order_covers_is_not_ordered_again(store: Store) -> None:
    await store.rollbacks.order(order(1, subjects=["dev-x", "dev-y"]))
    for again in (order(2), order(3, round_id="r4", subjects=["dev-y"]), order(4, subjects=["dev-y", "dev-x"])):
        found, is_new = await give(store, again)
        assert found is not None
        assert (found.id, is_new) == ("rb-0001", False)
    found, is_new = await give(store, order(5, subjects=["dev-x", "dev-z"]))
    assert found is not None
    assert (found.subjects, is_new) == (["dev-z"], True)
    assert [one.id for one in await store.rollbacks.outstanding("smart-home-intents")] == ["rb-0001", "rb-0005"]


@pytest.mark.usefixtures("rounds")
async def test_an_order_for_the_same_subjects_from_an_earlier_round_on_widens_the_outstanding_one(store: Store) -> None:
    await store.rollbacks.order(order(1, round_id="r4"))
    found, is_new = await give(store, order(2, round_id="r1"))
    assert found is not None
    assert (found.id, found.round_id, found.decision_id, is_new) == ("rb-0001", "r1", "dec-2", False)
    # Whoever was carrying out the narrower one has not done this one.
    assert not await store.rollbacks.end("rb-0001", done(round_id="r4"), NOW)
    assert await store.rollbacks.end("rb-0001", done(round_id="r1"), NOW)


@pytest.mark.usefixtures("rounds")
async def test_an_order_that_has_ended_is_given_anew(store: Store) -> None:
    await store.rollbacks.order(order(1))
    await store.rollbacks.end("rb-0001", done(state="failed", model_digest=None, fault="not kept"), NOW)
    found, is_new = await give(store, order(2))
    assert found is not None
    assert (found.id, is_new) == ("rb-0002", True)


@pytest.mark.usefixtures("rounds")
async def test_orders_for_other_models_or_aggregators_are_not_handed_out(store: Store) -> None:
    await store.rollbacks.order(order(1))
    await store.rollbacks.order(order(2, round_id="r5", subjects=["dev-y"]))
    await store.rollbacks.order(order(3, round_id="other", model="fall-detection"))
    assert [one.id for one in await store.rollbacks.outstanding("smart-home-intents", "agg-1")] == ["rb-0001"]
    assert [one.id for one in await store.rollbacks.outstanding("smart-home-intents", "agg-2")] == ["rb-0002"]
    assert [one.id for one in await store.rollbacks.outstanding("fall-detection")] == ["rb-0003"]


@pytest.mark.usefixtures("rounds")
async def test_twenty_orders_at_once_for_one_subject_become_one(store: Store, replica: Store) -> None:
    given = [give((store, replica)[number % 2], order(number)) for number in range(1, 21)]
    found = await asyncio.gather(*given)
    assert sum(is_new for _, is_new in found) == 1
    assert len({one.id for one, _ in found if one is not None}) == 1


@pytest.mark.usefixtures("rounds")
async def test_no_more_are_handed_out_at_once_than_an_answer_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MOST_AT_ONCE + 3):
        await store.rollbacks.order(order(number, subjects=[f"dev-{number}"]))
    assert len(await store.rollbacks.outstanding("smart-home-intents")) == MOST_AT_ONCE
    monkeypatch.setattr("controlplane.storage.undoing.MOST_OUTSTANDING", MOST_AT_ONCE)
    assert await store.rollbacks.order(order(999, subjects=["dev-999"])) == (None, False)


@pytest.mark.usefixtures("rounds")
async def test_an_order_names_those_alone_who_contributed_to_the_rounds_of_its_aggregator(store: Store) -> None:
    await contribute(store, ["r5"], ["dev-elsewhere"])
    names = ["dev-x", "dev-elsewhere", *(f"nobody-{number}" for number in range(900))]
    assert (await give(store, order(1, subjects=names))) == (order(1), True)
    assert await store.rollbacks.order(order(2, subjects=names[1:])) is None
    assert (await store.rollbacks.reached(names, "r1")).left_out == 3
    (found,) = await store.rollbacks.outstanding("smart-home-intents")
    assert found.subjects == ["dev-x"]


@pytest.mark.usefixtures("rounds")
async def test_no_more_subjects_are_named_at_once_than_an_answer_holds(store: Store) -> None:
    many = [f"many-{number}" for number in range(7 * 900)]
    await contribute(store, ["r2"], many)
    for number in range(7):
        await give(store, order(number, subjects=many[900 * number : 900 * (number + 1)]))
    found = await store.rollbacks.outstanding("smart-home-intents", "agg-1")
    assert [one.id for one in found] == [f"rb-{number:04d}" for number in range(MOST_SUBJECTS_AT_ONCE // 900)]
    assert len(await store.rollbacks.page()) == 7


@pytest.mark.usefixtures("rounds")
async def test_orders_are_listed_newest_first_by_model_and_state(store: Store) -> None:
    for number in (1, 2, 3):
        await store.rollbacks.order(order(number, subjects=[f"dev-{number}"]))
    await store.rollbacks.order(order(4, round_id="other", model="fall-detection"))
    await store.rollbacks.end("rb-0002", done(), NOW)
    assert [one.id for one in await store.rollbacks.page()] == ["rb-0004", "rb-0003", "rb-0002", "rb-0001"]
    assert [one.id for one in await store.rollbacks.page("smart-home-intents", "ordered")] == ["rb-0003", "rb-0001"]
    assert [one.id for one in await store.rollbacks.page(state="done")] == ["rb-0002"]
    assert [one.id for one in await store.rollbacks.page(limit=1)] == ["rb-0004"]
    assert await store.rollbacks.waiting() == (3, NOW + 1)


@pytest.mark.usefixtures("rounds")
async def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(store: Store) -> None:
    assert await store.rollbacks.waiting() == (0, None)
    await store.rollbacks.order(order(1))
    await store.rollbacks.order(order(2, subjects=["dev-y"]))
    await store.rollbacks.end("rb-0002", done(), NOW)
    assert await store.rollbacks.purge(NOW + 1) == 1
    assert [one.id for one in await store.rollbacks.page()] == ["rb-0001"]


async def test_an_order_from_a_round_that_nobody_opened_is_not_kept(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        await store.rollbacks.order(order(round_id="r99"))
    assert await store.rollbacks.get("rb-0001") is None
    assert await store.rollbacks.get("no identifier!") is None


@pytest.mark.usefixtures("rounds")
async def test_a_row_that_nobody_of_us_wrote_is_a_fault_and_no_order(store: Store) -> None:
    await store.rollbacks.order(order(1))

    async def _spoil(connection: Any) -> None:
        await connection.execute(text("UPDATE rollbacks SET subjects = '[]'"))

    await store._database.write("spoil", _spoil)
    with pytest.raises(StoreUnavailable):
        await store.rollbacks.outstanding("smart-home-intents")
