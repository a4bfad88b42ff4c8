import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text, update

from controlplane.capabilities.revoking import status_notice
from controlplane.contracts.events import REACH_SECONDS, Notice, Revocation, RevocationKind, SecurityEvent
from controlplane.contracts.identity import Device
from controlplane.storage import Store, revocations
from controlplane.storage.tables import devices
from tests.controlplane.behaving import observed
from tests.controlplane.storage.conftest import NOW

ALL: tuple[RevocationKind, ...] = ("capability", "subject", "key", "place")


def void(value: str, at: float = NOW, until: float = NOW + 300, kind: RevocationKind = "subject") -> Revocation:
    return Revocation(kind=kind, value=value, revoked_at=at, expires_at=until)


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits so long for its turn that it is dated anew, however slow this machine is."""
    monkeypatch.setattr(revocations, "SHORT_SECONDS", 60.0)


@pytest.mark.usefixtures("in_time")
async def test_what_is_void_on_one_replica_is_void_on_another(store: Store, replica: Store) -> None:
    given = [void("dev-a"), void("cap-1", kind="capability"), void("A" * 43, kind="key"), void("1.2", kind="place")]
    await store.revocations.add(Notice(revocations=given))
    found = await replica.revocations.live(NOW, ALL)
    assert sorted(found, key=lambda one: one.kind) == sorted(given, key=lambda one: one.kind)
    assert await replica.revocations.live(NOW, ("key",)) == [given[2]]


@pytest.mark.usefixtures("in_time")
async def test_of_two_revocations_of_the_same_the_later_times_stay(store: Store) -> None:
    await store.revocations.add(Notice(revocations=[void("dev-a", NOW + 5, NOW + 200)]))
    await store.revocations.add(Notice(revocations=[void("dev-a", NOW, NOW + 500)]))
    assert await store.revocations.live(NOW, ALL) == [void("dev-a", NOW + 5, NOW + 500)]


@pytest.mark.usefixtures("in_time")
async def test_what_can_concern_nothing_any_more_is_not_live_and_then_forgotten(store: Store) -> None:
    await store.revocations.add(Notice(revocations=[void("dev-a"), void("dev-b", until=NOW + 400)]))
    assert [one.value for one in await store.revocations.live(NOW + 300, ALL)] == ["dev-b"]
    assert await store.revocations.purge(NOW + 300) == 1
    assert await store.revocations.purge(NOW + 300) == 0


async def test_replicas_that_revoke_the_same_at_once_do_not_wait_for_one_another_for_ever(
    store: Store, replica: Store
) -> None:
    names = [f"dev-{number}" for number in range(50)]
    several = [Notice(revocations=[void(name) for name in order]) for order in (names, names[::-1])]
    await asyncio.gather(*(one.revocations.add(notice) for one in (store, replica) for notice in several * 5))
    assert len(await store.revocations.live(NOW, ALL)) == 50


async def test_nothing_is_written_for_an_empty_notice(store: Store) -> None:
    await store.revocations.add(Notice())
    assert await store.events.bounds() == (1, 0)


async def test_a_revocation_that_waited_for_its_turn_dates_from_its_turn(
    store: Store, replica: Store, new_device: Callable[..., Device]
) -> None:
    first, second = new_device(), new_device()
    for device in (first, second):
        await store.devices.add(device)
    holds, loop = asyncio.Event(), asyncio.get_running_loop()

    def hold(connection: Connection) -> None:
        connection.execute(update(devices).values(segment=devices.c.segment))
        loop.call_soon_threadsafe(holds.set)
        if replica._database.kind == "sqlite":
            time.sleep(0.6)
        else:
            connection.execute(text("SELECT pg_sleep(0.6)"))

    def begin(name: str) -> Notice:
        return status_notice([name], "quarantined", NOW, "policy")

    holding = asyncio.create_task(replica._database.bulk("hold", hold))
    await holds.wait()
    await asyncio.gather(
        store.devices.set_status(first.id, "quarantined", begin(first.id)),
        store.behaviour.apply([observed(second.id, becomes="quarantined")], (), lambda _kept: begin(second.id)),
    )
    await holding
    for void_now in await store.revocations.live(NOW, ("subject",)):
        assert void_now.revoked_at >= NOW + REACH_SECONDS + 0.5
    times = [SecurityEvent.model_validate_json(row[2]).events.caep for row in await store.events.after(0)]
    assert len(times) == 2
    assert all(event is not None and event.event_timestamp >= NOW + 0.5 for event in times)
