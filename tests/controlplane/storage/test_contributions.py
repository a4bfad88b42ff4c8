"""Whose updates went into which round's model, and where a rollback begins."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.rounds import Round
from controlplane.storage import Store
from controlplane.storage.tables import contributions
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
    ("subjects", "latest", "expected"),
    [
        (["x"], 100, "r1"),
        (["x"], 4, "r1"),
        (["x"], 3, "r4"),
        (["x"], 1, None),
        (["a", "x"], 3, "r2"),
        (["b"], 100, "r4"),
        (["nobody"], 100, None),
    ],
)
@pytest.mark.usefixtures("contributed")
async def test_a_rollback_begins_with_the_first_of_the_latest_rounds_that_somebody_contributed_to(
    store: Store, subjects: list[str], latest: int, expected: str | None
) -> None:
    assert await store.contributions.first_of(subjects, MODEL, latest) == expected


@pytest.mark.usefixtures("contributed")
async def test_contributions_since_a_round_are_those_to_its_model_alone(store: Store) -> None:
    assert await store.contributions.first_since(["x"], "r1") == "r1"
    assert await store.contributions.first_since(["x"], "r2") == "r4"
    assert await store.contributions.first_since(["x"], "r5") is None
    assert await store.contributions.first_since(["x"], "f1") == "f1"
    assert await store.contributions.first_since(["x"], "nowhere") is None


@pytest.mark.usefixtures("contributed")
async def test_what_was_contributed_long_ago_is_forgotten(store: Store) -> None:
    assert await store.contributions.purge(NOW + 3) == 4
    assert [one.round_id for one in await store.contributions.of_subject("x")] == ["r4"]
