import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import update

from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import MAX_MEMBERS, Round, RoundQuery
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.contributions import add_contributions
from controlplane.storage.tables_rounds import rounds as table
from tests.controlplane.storage.conftest import NOW

NewRound = Callable[..., Round]


async def test_a_round_reads_back_as_it_was_opened(store: Store, new_round: NewRound) -> None:
    opened = new_round(members=[f"dev-{number}" for number in range(MAX_MEMBERS)], closes_at=1_767_225_660.125)
    assert await store.rounds.add(opened)
    assert await store.rounds.get("r1") == opened
    assert await store.rounds.get("r2") is None


async def test_of_all_who_open_one_id_one_does_and_its_round_stays(
    store: Store, replica: Store, new_round: NewRound
) -> None:
    rounds = [new_round(opened_by=f"agg-{number}") for number in range(10)]
    added = await asyncio.gather(
        *(side.rounds.add(opened) for side, opened in zip([store, replica] * 5, rounds, strict=True))
    )
    assert sum(added) == 1
    assert await store.rounds.get("r1") == rounds[added.index(True)]


@pytest.mark.parametrize("damage", [{"members": "x"}, {"members": "[[]]"}, {"state": "OPEN"}, {"model_digest": "x"}])
async def test_a_round_that_nobody_here_wrote_is_none_of_ours(
    store: Store, new_round: NewRound, damage: dict[str, str]
) -> None:
    await store.rounds.add(new_round())
    await store.rounds.add(new_round(id="r2", opens_at=NOW + 1))
    await store._database.change("damage a row", update(table).where(table.c.id == "r1").values(damage))
    with pytest.raises(StoreUnavailable, match="not as ztfm writes it"):
        await store.rounds.get("r1")
    with pytest.raises(StoreUnavailable, match="not as ztfm writes it"):
        await store.rounds.before(new_round(id="r2", opens_at=NOW + 1))
    assert await store.rounds.get("r2") is not None


async def test_a_round_closes_once(store: Store, new_round: NewRound) -> None:
    await store.rounds.add(new_round())
    assert [await store.rounds.close(name) for name in ("r1", "r1", "r2")] == [True, False, False]
    assert await store.rounds.get("r1") == new_round(state="closed")


async def test_submissions_are_counted_by_round_and_by_subject(store: Store, new_round: NewRound) -> None:
    for name in ("r1", "r2"):
        await store.rounds.add(new_round(id=name))
    await store.rounds.count_submissions("r1", ["dev-a", "dev-b"])
    await store.rounds.count_submissions("r1", ["dev-a"])
    await store.rounds.count_submissions("r2", ["dev-a"])
    asked = [("r1", "dev-a"), ("r1", "dev-b"), ("r2", "dev-a"), ("r2", "dev-b"), ("r3", "dev-a")]
    assert await asyncio.gather(*(store.rounds.submissions(*pair) for pair in asked)) == [2, 1, 1, 0, 0]


async def test_a_submission_that_is_taken_back_counts_no_more_in_its_round(store: Store, new_round: NewRound) -> None:
    for name in ("r1", "r2"):
        await store.rounds.add(new_round(id=name))
        await store.rounds.count_submissions(name, ["dev-a", "dev-b"])
    await store.rounds.give_back_submissions("r1", ["dev-a", "dev-c"])
    assert await store.rounds.count_submissions("r1", ["dev-a", "dev-b", "dev-c"]) == {
        "dev-a": 0,
        "dev-b": 1,
        "dev-c": 0,
    }
    assert await store.rounds.count_submissions("r2", ["dev-a"]) == {"dev-a": 1}


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "r 1"])
async def test_what_cannot_be_an_identifier_is_no_round_and_submitted_nothing(store: Store, name: str) -> None:
    assert await store.rounds.get(name) is None
    assert await store.rounds.submissions(name, "dev-a") == 0
    assert await store.rounds.submissions("r1", name) == 0


async def test_rounds_are_told_in_numbers_newest_first(store: Store, new_round: NewRound) -> None:
    await store.rounds.add(new_round(id="r1"))
    await store.rounds.add(new_round(id="r2", opens_at=NOW + 1, closes_at=NOW + 10, members=["dev-a"]))
    await store.rounds.add(new_round(id="r3", opens_at=NOW + 2, model="fall-detection"))
    await store.rounds.close("r3")
    await store.rounds.count_submissions("r1", ["dev-a", "dev-b"])
    await store.rounds.count_submissions("r1", ["dev-a"])
    given = Contribution(
        round_id="r1", subject="dev-a", update_digest="sha256:" + "e" * 64, decision_id="dec-1", time=NOW
    )
    await store._database.write("contribute", lambda connection: add_contributions(connection, [given]))
    found = await store.rounds.standings(RoundQuery(), NOW + 20)
    assert [(one.id, one.state, one.members, one.accepted, one.dropped) for one in found] == [
        ("r3", "closed", 2, 0, 0),
        ("r2", "closed", 1, 0, 0),
        ("r1", "open", 2, 1, 2),
    ]
    assert await store.rounds.standing("r1", NOW + 20) == found[2]
    assert await store.rounds.standing("r9", NOW) is None
    assert await store.rounds.submitted("r1") == {"dev-a": 2, "dev-b": 1}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (RoundQuery(state="open"), ["r1"]),
        (RoundQuery(state="closed"), ["r3", "r2"]),
        (RoundQuery(model="fall-detection"), ["r3"]),
        (RoundQuery(since=NOW + 1), ["r3", "r2"]),
        (RoundQuery(until=NOW + 1), ["r1"]),
        (RoundQuery(since=NOW + 1, state="open"), []),
    ],
)
async def test_each_part_of_a_query_of_rounds_narrows(
    store: Store, new_round: NewRound, query: RoundQuery, names: list[str]
) -> None:
    await store.rounds.add(new_round(id="r1"))
    await store.rounds.add(new_round(id="r2", opens_at=NOW + 1, closes_at=NOW + 10))
    await store.rounds.add(new_round(id="r3", opens_at=NOW + 2, model="fall-detection", state="closed"))
    assert [one.id for one in await store.rounds.standings(query, NOW + 10)] == names
    assert [one.id for one in await store.rounds.standings(query, NOW + 10, limit=1)] == names[:1]
