from collections.abc import Callable

import pytest
from sqlalchemy import text

from controlplane.contracts.identity import Device
from controlplane.storage import Store, StoreUnavailable
from tests.controlplane.behaving import NOW, observed, record, score, verdict

NewDevice = Callable[..., Device]


@pytest.fixture
async def names(store: Store, new_device: NewDevice) -> list[str]:
    devices = [new_device() for _ in range(4)]
    for device in devices:
        await store.devices.add(device)
    return [device.id for device in devices]


async def _observe(store: Store, round_id: str, scores: dict[str, float], **changes: str) -> None:
    kept = await store.behaviour.kept(scores)
    sent = [
        observed(name, kept[name].version, score=score(value, round_id=round_id, **changes))
        for name, value in scores.items()
    ]
    assert await store.behaviour.apply(sent) == frozenset()


async def _recent(store: Store, rounds: int | None = None, **options: object) -> set[tuple[str, float]]:
    return set(await store.observations.recent("updates", "homes.skew0", rounds, **options))  # type: ignore[arg-type]


async def test_peers_are_those_of_the_class_and_the_channel(store: Store, names: list[str]) -> None:
    await _observe(store, "r1", {names[0]: 0.5, names[1]: 0.0})
    await _observe(store, "r1", {names[2]: 7.0}, peers="homes.skew1")
    await _observe(store, "r1", {names[3]: 9.0}, channel="access")
    assert await _recent(store) == {(names[0], 0.5), (names[1], 0.0)}
    assert await store.observations.recent("inference", "homes.skew0") == []


async def test_the_latest_rounds_alone_count_and_never_the_one_that_is_judged(store: Store, names: list[str]) -> None:
    for number in range(4):
        await _observe(store, f"r{number}", {names[0]: float(number), names[1]: number + 0.5})
    assert await _recent(store, 1) == {(names[0], 3.0), (names[1], 3.5)}
    assert await _recent(store, 2, apart_from="r3") == {
        (names[0], 1.0),
        (names[1], 1.5),
        (names[0], 2.0),
        (names[1], 2.5),
    }
    assert await _recent(store, 0) == set()
    assert len(await _recent(store, 99)) == len(await _recent(store)) == 8


async def test_so_many_are_looked_at_and_no_more_the_newest_first(store: Store, names: list[str]) -> None:
    for number in range(5):
        await _observe(store, f"r{number}", {names[0]: float(number)})
    found = await store.observations.recent("updates", "homes.skew0", limit=2)
    assert found == [(names[0], 4.0), (names[0], 3.0)]
    assert len(await _recent(store, limit=0)) == 1


@pytest.mark.parametrize(("state", "counts"), [("trusted", 2), ("watched", 2), ("quarantined", 1), ("recovering", 1)])
async def test_who_is_set_apart_or_on_probation_is_no_measure(
    store: Store, names: list[str], state: str, counts: int
) -> None:
    await _observe(store, "r1", {names[0]: 9.0, names[1]: 0.0})
    await store.behaviour.apply([observed(names[0], 1, record=record(state=state))])
    assert len(await _recent(store)) == counts


async def test_what_a_subject_did_before_it_was_let_back_counts_as_peers_do(store: Store, names: list[str]) -> None:
    await _observe(store, "r1", {names[0]: 0.25})
    await store.behaviour.apply([observed(names[0], 1, becomes="quarantined")])
    await store.devices.set_status(names[0], "active")
    assert await _recent(store) == {(names[0], 0.25)}


async def test_verdicts_come_newest_first_and_of_one_subject(store: Store, names: list[str]) -> None:
    said = [verdict(names[0], round_id=f"r{number}") for number in range(3)]
    for version, one in enumerate(said):
        await store.behaviour.apply([observed(names[0], version, verdict=one)])
    other = verdict(names[1], round_id=None, channel="access", p_value=None, attribution=None)
    await store.behaviour.apply([observed(names[1], verdict=other)])
    assert await store.observations.verdicts(names[0], 10) == said[::-1]
    assert await store.observations.verdicts(names[0], 1) == said[-1:]
    assert await store.observations.verdicts(names[1], 10) == [other]
    assert await store.observations.verdicts("dev-stranger", 10) == []


async def test_an_unremarkable_observation_leaves_no_verdict_and_one_without_a_score_none(
    store: Store, names: list[str]
) -> None:
    await store.behaviour.apply([observed(names[0])])
    assert await store.observations.verdicts(names[0], 10) == []
    assert await _recent(store) == set()


async def test_what_had_its_time_is_forgotten_each_after_its_own(store: Store, names: list[str]) -> None:
    for version, age in enumerate((100.0, 50.0, 0.0)):
        sent = observed(
            names[0],
            version,
            score=score(age, round_id=f"r{version}", time=NOW - age),
            verdict=verdict(names[0], time=NOW - age),
        )
        await store.behaviour.apply([sent])
    assert await store.observations.purge(NOW - 49.0, NOW - 99.0) == 3
    assert await _recent(store) == {(names[0], 0.0)}
    assert [one.time for one in await store.observations.verdicts(names[0], 9)] == [NOW, NOW - 50.0]


async def test_scores_of_windows_are_forgotten_sooner(store: Store, names: list[str]) -> None:
    for version, (channel, age) in enumerate((("access", 100.0), ("access", 0.0), ("updates", 100.0))):
        sent = observed(names[0], version, score=score(age, channel=channel, time=NOW - age))
        await store.behaviour.apply([sent])
    assert await store.observations.purge(0.0, 0.0, NOW - 50.0) == 1
    assert await store.observations.recent("access", "homes.skew0") == [(names[0], 0.0)]
    assert await _recent(store) == {(names[0], 100.0)}


async def test_a_verdict_that_is_not_as_we_write_it_is_a_fault_of_the_store(store: Store, names: list[str]) -> None:
    await store.behaviour.apply([observed(names[0], verdict=verdict(names[0]))])
    await store._database.change(
        "spoil",
        text("UPDATE behaviour_verdicts SET document = CAST('{}' AS BLOB)")
        if store._database.kind == "sqlite"
        else text("UPDATE behaviour_verdicts SET document = '{}'::bytea"),
    )
    with pytest.raises(StoreUnavailable):
        await store.observations.verdicts(names[0], 9)
