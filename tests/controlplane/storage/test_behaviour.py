import asyncio
from collections.abc import Callable, Collection
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from controlplane.contracts.behaviour import CHANNELS, BehaviourRecord, Wealth
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept, Observed
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.storage import Store, StoreUnavailable, open_store
from tests.controlplane.behaving import LOW, NOW, observed, record, score, verdict
from tests.controlplane.storage.breaking import break_writes

NewDevice = Callable[..., Device]


async def _enrolled(store: Store, new_device: NewDevice, many: int, **changes: Any) -> list[str]:
    devices = [new_device(**changes) for _ in range(many)]
    for device in devices:
        await store.devices.add(device)
    return [device.id for device in devices]


async def _kept(store: Store, name: str) -> Kept:
    return (await store.behaviour.kept([name]))[name]


async def _status(store: Store, name: str) -> str:
    return (await _kept(store, name)).status


async def test_of_a_newcomer_nothing_is_kept_and_of_a_stranger_not_even_that(
    store: Store, new_device: NewDevice
) -> None:
    [name] = await _enrolled(store, new_device, 1)
    found = await store.behaviour.kept([name, "dev-stranger"])
    assert found == {name: Kept("active", Trust(score=0.6, observations=0), None, 1.0, 0)}
    assert await store.behaviour.kept([]) == {}


async def test_what_was_observed_is_kept_as_it_is(store: Store, replica: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1)
    assert await store.behaviour.apply([observed(name, e_value=2.5)]) == frozenset()
    expected = Kept("active", LOW, record(version=1), 2.5, 1)
    assert await _kept(replica, name) == expected
    changed = record(state="recovering", since=NOW + 5, wealth={}, conforming=0.5, deviating=0.0)
    assert await replica.behaviour.apply([observed(name, 1, record=changed, e_value=1.0)]) == frozenset()
    assert (await _kept(store, name)).record == changed.model_copy(update={"version": 2})


finite = st.floats(0.0, 1e12, allow_nan=False)
wealths = st.builds(Wealth, active=finite, waiting=st.floats(0.0, 1.0), steps=st.integers(0, 1_000_000_000))
records = st.builds(
    BehaviourRecord,
    state=st.sampled_from(["trusted", "watched", "quarantined", "recovering"]),
    since=st.floats(0.0, 2e9),
    wealth=st.dictionaries(st.sampled_from(CHANNELS), wealths),
    conforming=st.floats(1e-6, 1e12),
    deviating=finite,
    observed_at=st.floats(0.0, 2e9),
    version=st.just(0),
)


@given(stated=records, e_value=finite)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_record_comes_back_to_the_last_bit(
    store: Store, new_device: NewDevice, stated: BehaviourRecord, e_value: float
) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.behaviour.apply([observed(name, record=stated, e_value=e_value)])
    assert await _kept(store, name) == Kept("active", LOW, stated.model_copy(update={"version": 1}), e_value, 1)


async def test_of_two_who_read_the_same_only_one_writes(store: Store, replica: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1)
    for version in range(3):
        lost = await asyncio.gather(*(side.behaviour.apply([observed(name, version)]) for side in [store, replica] * 4))
        assert sorted(map(len, lost)) == [0, *[1] * 7]
        assert (await _kept(store, name)).version == version + 1


async def test_of_one_that_is_stale_nothing_is_written_and_of_the_others_everything(
    store: Store, new_device: NewDevice, new_round: Callable[..., Round]
) -> None:
    first, second, third = await _enrolled(store, new_device, 3)
    await store.rounds.add(new_round())
    await store.behaviour.apply([observed(second)])
    before = await _kept(store, second)
    sent = [
        observed(first, becomes="quarantined", score=score(1.0), verdict=verdict(first)),
        observed(second, 0, score=score(2.0), verdict=verdict(second)),
        observed(third, score=score(3.0)),
    ]
    given_ = [
        Contribution(round_id="r1", subject=name, update_digest=_digest(), decision_id="dec-1", time=NOW)
        for name in (first, second)
    ]
    assert await store.behaviour.apply(sent, given_) == {second}
    assert await _kept(store, second) == before
    assert await _status(store, first) == "quarantined"
    assert await store.observations.recent("updates", "homes.skew0") == [(third, 3.0)]
    assert [len(await store.observations.verdicts(name, 10)) for name in (first, second)] == [1, 0]
    assert [one.subject for one in await store.contributions.of_round("r1")] == [first]
    assert await store.behaviour.apply([observed(second, 1, score=score(2.0))], given_) == frozenset()
    assert sorted(one.subject for one in await store.contributions.of_round("r1")) == sorted([first, second])


def _digest() -> str:
    return "sha256:" + "e" * 64


async def test_writers_in_turns_lose_nothing_and_never_block_one_another(
    store: Store, replica: Store, new_device: NewDevice
) -> None:
    names = await _enrolled(store, new_device, 6)

    async def bet(side: Store, subjects: list[str]) -> None:
        """Add one step to the wealth of each, as often as it takes."""
        left: Collection[str] = subjects
        while left:
            kept = await side.behaviour.kept(left)
            left = await side.behaviour.apply([_with_one_more(name, kept[name]) for name in sorted(left, reverse=True)])

    halves = (names[:4], names[2:])
    await asyncio.gather(*(bet(side, halves[turn % 2]) for turn, side in enumerate([store, replica] * 5)))
    steps = [(await _kept(store, name)).record for name in names]
    assert [one.wealth["updates"].steps for one in steps if one] == [5, 5, 10, 10, 5, 5]


def _with_one_more(name: str, kept: Kept) -> Observed:
    steps = kept.record.wealth["updates"].steps if kept.record else 0
    return observed(name, kept.version, record=record(wealth={"updates": Wealth(steps=steps + 1)}))


async def test_trust_state_and_status_are_kept_together(store: Store, new_device: NewDevice) -> None:
    judged, apart = await _enrolled(store, new_device, 2)
    await store.behaviour.apply([observed(judged), observed(apart, becomes="quarantined")])
    assert (await _kept(store, judged)).trust == LOW
    found = await _kept(store, apart)
    assert found.record is not None
    assert (found.status, found.trust, found.record.state) == ("quarantined", LOW, "quarantined")
    await store.behaviour.apply([observed(apart, 1, becomes="recovering")])
    assert await _status(store, apart) == "active"


async def test_a_revoked_device_stays_revoked(store: Store, new_device: NewDevice) -> None:
    first, second = await _enrolled(store, new_device, 2, status="revoked")
    await store.behaviour.apply([observed(first, becomes="quarantined"), observed(second, becomes="recovering")])
    assert [await _status(store, name) for name in (first, second)] == ["revoked", "revoked"]


async def test_nothing_changes_nothing_and_a_stranger_is_a_fault(store: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1)
    assert await store.behaviour.apply([]) == frozenset()
    with pytest.raises(StoreUnavailable):
        await store.behaviour.apply([observed("dev-stranger")])
    assert (await _kept(store, name)).record is None


async def test_who_is_let_back_by_a_person_begins_anew(store: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.behaviour.apply([observed(name, becomes="quarantined", e_value=60.0)])
    newcomer = Trust(score=0.6, observations=0)
    assert await store.devices.set_status(name, "active", None, newcomer)
    assert await _kept(store, name) == Kept("active", newcomer, None, 1.0, 2)
    assert await store.behaviour.apply([observed(name, 1)]) == {name}, "what was read before counts for nothing"
    assert await store.behaviour.apply([observed(name, 2)]) == frozenset()


async def test_who_is_active_already_keeps_everything(store: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.behaviour.apply([observed(name)])
    await store.devices.set_status(name, "active", None, Trust(score=0.6, observations=0))
    assert await _kept(store, name) == Kept("active", LOW, record(version=1), 2.5, 1)


@pytest.mark.parametrize("state", ["trusted", "watched", "quarantined", "recovering"])
async def test_whom_a_person_sets_apart_policy_has_not(store: Store, new_device: NewDevice, state: str) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.behaviour.apply([observed(name, record=record(state=state))])
    await store.devices.set_status(name, "quarantined")
    found = await _kept(store, name)
    assert found.record is not None
    assert found.record.state == ("watched" if state == "quarantined" else state)
    assert found.record.wealth == record().wealth
    assert await store.behaviour.set_apart(10) == []
    assert await store.behaviour.apply([observed(name, 1, becomes="recovering")]) == {name}
    [standing] = await store.behaviour.standings()
    assert standing.held


async def test_a_person_s_word_before_anything_was_observed_is_not_overwritten(
    store: Store, new_device: NewDevice
) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.devices.set_status(name, "quarantined")
    assert await store.behaviour.apply([observed(name, becomes="quarantined")]) == {name}
    assert (await _kept(store, name)).record is None


async def test_subjects_stand_in_order_of_the_evidence_against_them(store: Store, new_device: NewDevice) -> None:
    names = await _enrolled(store, new_device, 4)
    await _enrolled(store, new_device, 1)
    evidence = dict(zip(names, (0.5, 1e12, 60.0, 7.0), strict=True))
    await store.behaviour.apply([observed(name, e_value=value) for name, value in evidence.items()])
    await store.behaviour.apply([observed(names[2], 1, becomes="quarantined", e_value=60.0)])
    found = await store.behaviour.standings()
    assert [(one.subject, one.e_value) for one in found] == [(names[n], evidence[names[n]]) for n in (1, 2, 3, 0)]
    assert [one.subject for one in await store.behaviour.standings(limit=1)] == [names[1]]
    [apart] = await store.behaviour.standings("quarantined", 10**9)
    assert (apart.subject, apart.status, apart.state, apart.held) == (names[2], "quarantined", "quarantined", False)
    assert (apart.segment, apart.trust, apart.since, apart.observed_at) == ("homes", LOW, NOW, NOW + 60.0)
    assert await store.behaviour.counts() == {"watched": 3, "quarantined": 1}


async def test_subjects_stand_in_order_of_trust_without_those_that_are_revoked(
    store: Store, new_device: NewDevice
) -> None:
    names = await _enrolled(store, new_device, 3)
    far = new_device(segment="core")
    await store.devices.add(far)
    trust = dict(zip([*names, far.id], (0.5, 0.125, 0.25, 0.375), strict=True))
    seen = [observed(name, trust=Trust(score=score, observations=2)) for name, score in trust.items()]
    await store.behaviour.apply(seen)
    found = await store.behaviour.standings(order="trust")
    assert [one.subject for one in found] == sorted(trust, key=trust.__getitem__)
    core = await store.behaviour.standings(segment="core", order="trust")
    assert [one.subject for one in core] == [far.id]
    await store.devices.set_status(names[1], "revoked")
    assert [one.subject for one in await store.behaviour.standings(limit=1, order="trust")] == [names[2]]
    assert len(await store.behaviour.standings(segment="homes")) == 3


async def test_who_is_set_apart_for_longest_comes_first(store: Store, new_device: NewDevice) -> None:
    names = await _enrolled(store, new_device, 3)
    since = dict(zip(names, (NOW + 2, NOW, NOW + 1), strict=True))
    await store.behaviour.apply(
        [
            observed(name, record=record(state="quarantined", since=time), status="quarantined")
            for name, time in since.items()
        ]
    )
    assert await store.behaviour.set_apart(10) == [names[1], names[2], names[0]]
    assert await store.behaviour.set_apart(1) == [names[1]]
    await store.devices.set_status(names[1], "revoked")
    assert await store.behaviour.set_apart(10) == [names[2], names[0]]


async def test_devices_are_locked_in_order_of_their_names(postgres_url: str, new_device: NewDevice) -> None:
    store = await open_store(postgres_url)
    names = [f"dev-{number}" for number in range(10)]
    for name in names:
        await store.devices.add(new_device(id=name))
    other = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    async with other.transaction():
        await other.execute("SELECT 1 FROM devices WHERE id = 'dev-0' FOR UPDATE")
        sent = [observed(name, becomes="quarantined") for name in reversed(names)]
        applying = asyncio.create_task(store.behaviour.apply(sent))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        # It waits for the first and holds none of the others.
        await other.execute("SELECT 1 FROM devices FOR UPDATE NOWAIT")
    await applying
    await other.close()
    assert [device.status for device in await store.devices.page()] == ["quarantined"] * 10
    await store.close()


@pytest.mark.parametrize("broken", ["UPDATE ON devices", "INSERT ON behaviour_verdicts", "INSERT ON behaviour_scores"])
async def test_a_fault_in_the_middle_leaves_everything_as_it_was(
    store: Store, new_device: NewDevice, broken: str
) -> None:
    names = await _enrolled(store, new_device, 3)
    before = await store.behaviour.kept(names)
    await break_writes(store, broken)
    with pytest.raises(StoreUnavailable):
        await store.behaviour.apply(
            [observed(name, becomes="quarantined", score=score(1.0), verdict=verdict(name)) for name in names]
        )
    assert await store.behaviour.kept(names) == before


@pytest.mark.parametrize(
    "change",
    [
        "wealth = 'x'",
        "wealth = '[]'",
        """wealth = '{"updates": {"active": -1}}'""",
        """wealth = '{"other": {}}'""",
        "state = 'unheard'",
        "conforming = -1",
        "since = -5",
    ],
)
async def test_a_record_that_is_not_as_we_write_it_is_a_fault_of_the_store(
    store: Store, new_device: NewDevice, change: str
) -> None:
    [name] = await _enrolled(store, new_device, 1)
    await store.behaviour.apply([observed(name)])
    await store._database.change("spoil", text(f"UPDATE behaviour SET {change}"))
    with pytest.raises(StoreUnavailable):
        await store.behaviour.kept([name])


async def test_many_are_kept_in_one_go(store: Store, new_device: NewDevice) -> None:
    names = await _enrolled(store, new_device, 200)
    assert await store.behaviour.apply([observed(name, score=score(0.0)) for name in names]) == frozenset()
    found = await store.behaviour.kept(names)
    assert {kept.version for kept in found.values()} == {1}
    assert len(found) == 200


async def _history(store: Store, name: str) -> TrustHistory | None:
    found = await store.devices.get(name)
    assert found is not None
    return found.trust_history


def _trusted(score: float) -> Trust:
    return Trust(score=score, observations=1)


async def test_how_trust_moved_is_kept_with_it(store: Store, replica: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1, trust_history=TrustHistory.of(0.6, NOW - 50))
    for version, (score_, at) in enumerate([(0.7, NOW), (0.4, NOW + 60), (0.8, NOW + 120)]):
        seen = record(since=NOW - 90, observed_at=at)
        assert await store.behaviour.apply([observed(name, version, record=seen, trust=_trusted(score_))]) == set()
    history = await _history(replica, name)
    assert history is not None
    assert (history.begun, history.steady_since, history.lowest(NOW + 120)) == (NOW - 50, NOW + 60, 0.4)


async def test_trust_that_is_renewed_as_time_passes_has_moved_then(store: Store, new_device: NewDevice) -> None:
    [name] = await _enrolled(store, new_device, 1, trust_history=TrustHistory.of(0.6, NOW - 50))
    renewed = record(state="recovering", since=NOW + 900, observed_at=NOW)
    await store.behaviour.apply([observed(name, record=renewed, trust=_trusted(0.5))])
    history = await _history(store, name)
    assert history is not None
    assert history.steady_since == NOW + 900


async def test_a_history_that_was_not_kept_begins_when_trust_is_next_observed(
    store: Store, new_device: NewDevice
) -> None:
    [before] = await _enrolled(store, new_device, 1)
    [other] = await _enrolled(store, new_device, 1, trust_history=TrustHistory.of(0.9, NOW - 50))
    assert (await _history(store, before), await _history(store, other)) == (None, None), "it is of other trust"
    for name in (before, other):
        await store.behaviour.apply([observed(name, record=record(observed_at=NOW), trust=_trusted(0.5))])
        history = await _history(store, name)
        assert history is not None
        assert (history.begun, history.steady_since) == (NOW, NOW)


async def test_of_one_that_a_person_lets_back_it_is_not_known_until_it_is_observed(
    store: Store, new_device: NewDevice
) -> None:
    [name] = await _enrolled(store, new_device, 1, trust_history=TrustHistory.of(0.6, NOW - 50))
    await store.devices.set_status(name, "quarantined")
    assert await _history(store, name) is not None
    await store.devices.set_status(name, "active", None, Trust(score=0.6, observations=0))
    assert await _history(store, name) is None
