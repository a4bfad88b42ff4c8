"""One candidate at a time; what every process counts of it is added up, and bounded."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.contracts.policies import digest_of
from controlplane.contracts.shadow import DISAGREEMENTS, MAX_GROUPS, SAMPLES, Shadow, ShadowCounts, ShadowGroup
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.shadows import KEPT
from tests.controlplane.storage.conftest import NOW

BODY = b"a bundle"


def shadow(name: str = "shadow-1", at: float = NOW, body: bytes = BODY) -> Shadow:
    return Shadow(id=name, revision="c0ffee.0123", digest=digest_of(body), started_at=at, started_by="dev-author")


def group(**changes: Any) -> ShadowGroup:
    known = {
        "change": "newly_denied",
        "action": "inference",
        "reason": "trust_sufficient",
        "segment": "homes",
        "count": 1,
        "samples": ["dec-1"],
    }
    return ShadowGroup(**{**known, **changes})


async def test_a_candidate_is_there_until_it_is_stopped(store: Store) -> None:
    assert await store.shadows.current() is None
    assert await store.shadows.report() is None
    assert not await store.shadows.stop(NOW)
    await store.shadows.start(shadow(), BODY)
    assert await store.shadows.current() == shadow()
    assert await store.releases.body(shadow().digest) == BODY
    assert await store.shadows.stop(NOW + 5)
    assert await store.shadows.current() is None
    report = await store.shadows.report()
    assert report is not None
    assert report.shadow.stopped_at == NOW + 5
    assert (report.decided, report.failed, report.dropped, report.groups) == (0, 0, 0, [])


async def test_the_next_candidate_stops_the_one_before(store: Store) -> None:
    await store.shadows.start(shadow(), BODY)
    await store.shadows.add("shadow-1", ShadowCounts(agreed=3))
    await store.shadows.start(shadow("shadow-2", NOW + 1), BODY)
    assert await store.shadows.current() == shadow("shadow-2", NOW + 1)
    report = await store.shadows.report()
    assert report is not None
    assert (report.shadow.id, report.agreed) == ("shadow-2", 0)


async def test_of_many_that_start_at_once_one_is_current(store: Store, replica: Store) -> None:
    names = [f"shadow-{number}" for number in range(8)]
    stores = [store, replica] * 4
    await asyncio.gather(*(at.shadows.start(shadow(name), BODY) for at, name in zip(stores, names, strict=True)))
    assert await store.shadows.current() == await replica.shadows.current()
    assert await store.shadows.stop(NOW + 1)
    assert await store.shadows.current() is None


async def test_what_two_processes_count_at_once_is_added_exactly(store: Store, replica: Store) -> None:
    await store.shadows.start(shadow(), BODY)
    one = ShadowCounts(agreed=2, changes={"newly_denied": 1}, failed=3, dropped=4, groups=[group()])
    await asyncio.gather(*(at.shadows.add("shadow-1", one) for at in [store, replica] * 10))
    report = await replica.shadows.report()
    assert report is not None
    assert (report.agreed, report.failed, report.dropped) == (40, 60, 80)
    assert report.changes == {**dict.fromkeys(DISAGREEMENTS, 0), "newly_denied": 20}
    (found,) = report.groups
    assert (found.count, len(found.samples)) == (20, SAMPLES)


async def test_groups_are_kept_apart_and_the_worst_come_first(store: Store) -> None:
    await store.shadows.start(shadow(), BODY)
    apart = [
        group(change="failed", reason="policy_undefined", count=9),
        group(change="newly_allowed", count=4),
        group(count=1),
        group(segment="core", count=2),
        group(action="admin", count=3),
    ]
    await store.shadows.add("shadow-1", ShadowCounts(failed=9, changes={"newly_denied": 6}, groups=apart))
    report = await store.shadows.report()
    assert report is not None
    assert [(found.change, found.count) for found in report.groups] == [
        ("newly_denied", 3),
        ("newly_denied", 2),
        ("newly_denied", 1),
        ("newly_allowed", 4),
        ("failed", 9),
    ]


async def test_groups_are_bounded_and_the_numbers_stay_exact(store: Store) -> None:
    await store.shadows.start(shadow(), BODY)
    for part in range(2):
        many = [group(segment=f"s{number}-{part}") for number in range(MAX_GROUPS - 10)]
        await store.shadows.add("shadow-1", ShadowCounts(changes={"newly_denied": len(many)}, groups=many))
    await store.shadows.add("shadow-1", ShadowCounts(changes={"newly_denied": 1}, groups=[group(segment="s0-0")]))
    report = await store.shadows.report()
    assert report is not None
    assert len(report.groups) == MAX_GROUPS
    assert report.disagreed == 2 * (MAX_GROUPS - 10) + 1
    assert report.groups[0].count == 2


async def test_nothing_is_counted_of_a_candidate_that_is_forgotten(store: Store) -> None:
    await store.shadows.add("shadow-9", ShadowCounts(changes={"newly_denied": 1}, groups=[group()]))
    assert await store.shadows.report() is None


async def test_the_oldest_are_forgotten_and_then_their_bundles(store: Store) -> None:
    for number in range(KEPT + 1):
        body = f"bundle {number}".encode()
        await store.shadows.start(shadow(f"shadow-{number}", NOW + number, body), body)
        await store.shadows.add(f"shadow-{number}", ShadowCounts(changes={"other_terms": 1}, groups=[group()]))
    await store.releases.purge()
    kept = [await store.releases.body(digest_of(f"bundle {number}".encode())) for number in range(KEPT + 1)]
    assert [body is not None for body in kept] == [False, *[True] * KEPT]


@pytest.mark.parametrize("counts", [ShadowCounts(), ShadowCounts(changes={"newly_denied": 0})])
def test_nothing_counted_is_nothing_to_say(counts: ShadowCounts) -> None:
    assert not counts


@pytest.mark.parametrize("spoilt", ["revision = ''", "revision = 'a+site:b'", "started_by = ''"])
async def test_a_row_that_is_not_ours_is_no_candidate(store: Store, spoilt: str) -> None:
    await store.shadows.start(shadow(), BODY)
    await store._database.change("spoil", text(f"UPDATE policy_shadows SET {spoilt}"))
    for look in (store.shadows.current, store.shadows.report):
        with pytest.raises(StoreUnavailable, match="a row is not as ztfm writes it"):
            await look()


async def test_groups_that_are_not_ours_are_no_report(store: Store) -> None:
    await store.shadows.start(shadow(), BODY)
    await store.shadows.add("shadow-1", ShadowCounts(changes={"newly_denied": 1}, groups=[group()]))
    await store._database.change("spoil", text("UPDATE policy_disagreements SET samples = '{'"))
    with pytest.raises(StoreUnavailable, match="a row is not as ztfm writes it"):
        await store.shadows.report()
