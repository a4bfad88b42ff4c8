"""Whose updates went into which round's model, and where a rollback begins."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.storage import Store
from controlplane.storage.contributions import First, add_contributions, contributing_since, firsts_of
from controlplane.storage.tables_rounds import contributions
from tests.controlplane.storage.conftest import NOW

MODEL = "smart-home-intents"
WHO = {"r1": ["a", "x"], "r2": ["a"], "r4": ["a", "b", "x"], "r5": ["b"], "f1": ["x"]}
"""Round 3 is one that nobody contributed to, as a round for evaluation is."""


@pytest.fixture
async def contributed(store: Store, new_round: Callable[..., Round]) -> None:
    for name in ("r1", "r2", "r3", "r4", "r5", "f1"):
        model = "fall-detection" if name == "f1" else MODEL
        await store.rounds.add(new_round(id=name, model=model, opens_at=NOW + int(name[1])))
    rows = [
        {
            "round_id": name,
            "subject": subject,
            "update_digest": "sha256:" + "e" * 64,
            "decision_id": f"dec-{name}-{subject}",
            "time": NOW + int(name[1]),
        }
        for name, subjects in WHO.items()
        for subject in subjects
    ]

    async def _write(connection: AsyncConnection) -> None:
        await connection.execute(insert(contributions), rows)

    await store._database.write("contribute", _write)


@pytest.mark.usefixtures("contributed")
async def test_the_contributions_to_a_round_are_listed_by_subject(store: Store) -> None:
    found = await store.contributions.of_round("r4")
    assert [(one.subject, one.decision_id) for one in found] == [
        ("a", "dec-r4-a"),
        ("b", "dec-r4-b"),
        ("x", "dec-r4-x"),
    ]
    assert await store.contributions.of_round("r3") == await store.contributions.of_round("no identifier!") == []


@pytest.mark.usefixtures("contributed")
async def test_the_contributions_of_a_subject_are_listed_newest_first(store: Store) -> None:
    assert [one.round_id for one in await store.contributions.of_subject("x")] == ["r4", "r1", "f1"]
    assert [one.round_id for one in await store.contributions.of_subject("x", MODEL)] == ["r4", "r1"]
    assert [one.round_id for one in await store.contributions.of_subject("a", limit=1)] == ["r4"]
    assert await store.contributions.of_subject("no identifier!") == []


@pytest.mark.parametrize(
    ("subject", "latest", "expected"),
    [
        ("x", 100, "r1"),
        ("x", 4, "r1"),
        ("x", 3, "r4"),
        ("x", 1, None),
        ("a", 3, "r2"),
        ("b", 100, "r4"),
        ("nobody", 100, None),
    ],
)
@pytest.mark.usefixtures("contributed")
async def test_a_rollback_begins_with_the_first_of_the_latest_rounds_that_somebody_contributed_to(
    store: Store, subject: str, latest: int, expected: str | None
) -> None:
    async def _look(connection: AsyncConnection) -> dict[str, list[First]]:
        return await firsts_of(connection, [subject, "nobody"], MODEL, latest)

    begins = {} if expected is None else {subject: [First("agg-1", expected, NOW + int(expected[1]))]}
    assert await store._database.write("look where a rollback begins", _look) == begins


@pytest.mark.usefixtures("contributed")
async def test_where_a_rollback_begins_is_looked_up_for_many_at_once(store: Store) -> None:
    async def _look(connection: AsyncConnection) -> dict[str, list[First]]:
        return await firsts_of(connection, ["a", "b", "x"], MODEL, 3)

    found = await store._database.write("look where a rollback begins", _look)
    assert {name: first.round_id for name, (first,) in found.items()} == {"a": "r2", "b": "r4", "x": "r4"}


@pytest.mark.parametrize(
    ("round_id", "expected"),
    [("r1", ["a", "b", "x"]), ("r3", ["a", "b", "x"]), ("r5", ["b"]), ("f1", ["x"]), ("nowhere", [])],
)
@pytest.mark.usefixtures("contributed")
async def test_who_contributed_since_a_round_did_so_to_its_model(
    store: Store, round_id: str, expected: list[str]
) -> None:
    async def _look(connection: AsyncConnection) -> list[str]:
        return await contributing_since(connection, ["a", "b", "x", "nobody"], round_id)

    assert await store._database.write("look who contributed", _look) == expected


@pytest.mark.usefixtures("contributed")
async def test_the_rounds_of_each_aggregator_count_by_themselves(store: Store, new_round: Callable[..., Round]) -> None:
    await store.rounds.add(new_round(id="b3", opened_by="agg-b", opens_at=NOW + 3))
    given = Contribution(round_id="b3", subject="x", update_digest="sha256:" + "e" * 64, decision_id="d", time=NOW)

    async def _look(connection: AsyncConnection) -> tuple[dict[str, list[First]], list[list[str]]]:
        await add_contributions(connection, [given])
        since = [await contributing_since(connection, ["a", "x"], name) for name in ("r2", "b3", "r5")]
        return await firsts_of(connection, ["a", "x"], MODEL, 2), since

    found, since = await store._database.write("look", _look)
    assert found == {
        "a": [First("agg-1", "r4", NOW + 4)],
        "x": [First("agg-1", "r4", NOW + 4), First("agg-b", "b3", NOW + 3)],
    }
    assert since == [["a", "x"], ["x"], []]


@pytest.mark.usefixtures("contributed")
async def test_what_was_contributed_long_ago_is_forgotten(store: Store) -> None:
    assert await store.contributions.purge(NOW + 3) == 4
    assert [one.round_id for one in await store.contributions.of_subject("x")] == ["r4"]
