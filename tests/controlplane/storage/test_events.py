import asyncio
from collections.abc import Callable

from controlplane.contracts.events import Events, Notice, OpaqueSubject, Revocation, SecurityEvent, SessionRevoked
from controlplane.contracts.identity import Device
from controlplane.storage import Store
from tests.controlplane.behaving import observed
from tests.controlplane.storage.conftest import NOW


def event(time: float = NOW, subject: str = "dev-a") -> SecurityEvent:
    return SecurityEvent(
        txn="txn-1",
        sub_id=OpaqueSubject(format="opaque", id=subject),
        events=Events(session_revoked=SessionRevoked(event_timestamp=time)),
    )


async def test_events_come_back_in_the_order_in_which_they_were_written(store: Store, replica: Store) -> None:
    assert await store.events.bounds() == (1, 0)
    await store.revocations.add(Notice(events=[event(NOW + step, f"dev-{step}") for step in range(5)]))
    rows = await replica.events.after(0)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert [SecurityEvent.model_validate_json(row[2]).sub_id for row in rows] == [
        OpaqueSubject(format="opaque", id=f"dev-{step}") for step in range(5)
    ]
    assert [row[1] for row in rows] == [NOW + step for step in range(5)]
    assert await replica.events.after(rows[2][0], limit=1) == [rows[3]]
    assert await replica.events.bounds() == (rows[0][0], rows[-1][0])


async def test_whoever_saw_an_event_has_seen_all_before_it(store: Store, replica: Store) -> None:
    seen: list[int] = []
    is_writing = True

    async def tail() -> None:
        while is_writing:
            seen.extend(row[0] for row in await store.events.after(seen[-1] if seen else 0))
            await asyncio.sleep(0)

    tailing = asyncio.create_task(tail())
    await asyncio.gather(*(one.revocations.add(Notice(events=[event()] * 3)) for one in [store, replica] * 20))
    is_writing = False
    await tailing
    seen += [row[0] for row in await store.events.after(seen[-1] if seen else 0)]
    assert len(seen) == 120
    assert seen == [row[0] for row in await replica.events.after(0, limit=1000)]


async def test_old_events_are_forgotten_and_sequences_never_begin_anew(store: Store) -> None:
    await store.revocations.add(Notice(events=[event(NOW), event(NOW + 1), event(NOW + 2)]))
    rows = await store.events.after(0)
    assert await store.events.purge(NOW + 2) == 2
    assert await store.events.bounds() == (rows[2][0], rows[2][0])
    assert await store.events.purge(NOW + 100) == 0
    await store.revocations.add(Notice(events=[event(NOW + 200)]))
    assert await store.events.purge(NOW + 300) == 1
    await store.revocations.add(Notice(events=[event(NOW + 400)]))
    assert (await store.events.bounds())[1] > rows[2][0] + 1


async def test_an_event_of_a_clock_that_is_behind_does_not_leave_a_hole(store: Store) -> None:
    await store.revocations.add(Notice(events=[event(NOW + 50), event(NOW), event(NOW + 51)]))
    rows = await store.events.after(0)
    assert await store.events.purge(NOW + 10) == 2
    assert await store.events.bounds() == (rows[2][0], rows[2][0])


async def test_events_can_be_found_by_time(store: Store) -> None:
    assert await store.events.before(NOW) == 0
    await store.revocations.add(Notice(events=[event(NOW), event(NOW + 1), event(NOW + 2)]))
    first = (await store.events.bounds())[0]
    assert await store.events.before(NOW - 1) == first - 1
    assert await store.events.before(NOW + 1) == first
    assert await store.events.before(NOW + 9) == first + 2


async def test_a_status_and_its_notice_are_written_together_or_not_at_all(
    store: Store, new_device: Callable[..., Device]
) -> None:
    device = new_device()
    void = Revocation(kind="subject", value=device.id, revoked_at=NOW, expires_at=NOW + 300)
    notice = Notice(revocations=[void], events=[event(NOW, device.id)])
    assert not await store.devices.set_status(device.id, "quarantined", notice)
    assert await store.events.bounds() == (1, 0)
    assert await store.revocations.live(NOW, ("subject",)) == []
    await store.devices.add(device)
    assert await store.devices.set_status(device.id, "quarantined", notice)
    assert await store.revocations.live(NOW, ("subject",)) == [void]
    await store.behaviour.apply([observed(device.id, 1, becomes="quarantined")], (), lambda _kept: notice)
    assert len(await store.events.after(0)) == 2
