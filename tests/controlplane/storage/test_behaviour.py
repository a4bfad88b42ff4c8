import asyncio
from collections.abc import Callable

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text

from controlplane.contracts.identity import Device, Trust
from controlplane.storage import Store, StoreUnavailable, open_store

NewDevice = Callable[..., Device]
LOW = Trust(score=0.25, observations=3)


async def _seen(store: Store, device: Device) -> tuple[str, Trust]:
    found = await store.devices.get(device.id)
    assert found is not None
    return found.status, found.trust


async def test_trust_and_quarantine_are_kept_together(store: Store, new_device: NewDevice) -> None:
    scored, apart, both, neither = devices = [new_device() for _ in range(4)]
    for device in devices:
        await store.devices.add(device)
    await store.behaviour.apply({scored.id: LOW, both.id: LOW}, [apart.id, both.id])
    assert await _seen(store, scored) == ("active", LOW)
    assert await _seen(store, apart) == ("quarantined", apart.trust)
    assert await _seen(store, both) == ("quarantined", LOW)
    assert await _seen(store, neither) == ("active", neither.trust)


async def test_a_revoked_device_stays_revoked(store: Store, new_device: NewDevice) -> None:
    device = new_device(status="revoked")
    await store.devices.add(device)
    await store.behaviour.apply({device.id: LOW}, [device.id])
    assert await _seen(store, device) == ("revoked", LOW)


async def test_a_score_of_zero_is_a_score(store: Store, new_device: NewDevice) -> None:
    device = new_device(trust=Trust(score=0.9, observations=9))
    await store.devices.add(device)
    await store.behaviour.apply({device.id: Trust(score=0.0, observations=0)}, [])
    assert await _seen(store, device) == ("active", Trust(score=0.0, observations=0))


async def test_nothing_and_strangers_change_nothing(store: Store, new_device: NewDevice) -> None:
    device = new_device()
    await store.devices.add(device)
    await store.behaviour.apply({}, [])
    await store.behaviour.apply({"dev-stranger": LOW}, {"dev-other"})
    assert await store.devices.page() == [device]


async def test_replicas_that_write_the_same_devices_in_turns_never_block_one_another(
    store: Store, replica: Store, new_device: NewDevice
) -> None:
    devices = [new_device() for _ in range(6)]
    for device in devices:
        await store.devices.add(device)
    names = [device.id for device in devices]
    halves = (names[:3], names[3:])
    await asyncio.gather(
        *(
            side.behaviour.apply(dict.fromkeys(halves[turn % 2], LOW), halves[1 - turn % 2])
            for turn, side in enumerate([store, replica] * 10)
        )
    )
    assert [await _seen(store, device) for device in devices] == [("quarantined", LOW)] * 6


async def test_devices_are_locked_in_order_of_their_names(postgres_url: str, new_device: NewDevice) -> None:
    store = await open_store(postgres_url)
    names = [f"dev-{number}" for number in range(10)]
    for name in names:
        await store.devices.add(new_device(id=name))
    other = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    async with other.transaction():
        await other.execute("SELECT 1 FROM devices WHERE id = 'dev-0' FOR UPDATE")
        applying = asyncio.create_task(store.behaviour.apply(dict.fromkeys(names[5:], LOW), names[:5]))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        # It waits for the first and holds none of the others.
        await other.execute("SELECT 1 FROM devices FOR UPDATE NOWAIT")
    await applying
    await other.close()
    assert [device.status for device in await store.devices.page()] == ["quarantined"] * 5 + ["active"] * 5
    await store.close()


async def test_a_fault_in_the_middle_leaves_every_device_as_it_was(
    url: str, store: Store, new_device: NewDevice
) -> None:
    devices = [new_device(id=f"dev-{number}") for number in range(3)]
    for device in devices:
        await store.devices.add(device)
    await _break_updates_of(store, url, "dev-2")
    with pytest.raises(StoreUnavailable):
        await store.behaviour.apply({device.id: LOW for device in devices}, [device.id for device in devices])
    assert await store.devices.page() == devices


async def _break_updates_of(store: Store, url: str, name: str) -> None:
    if url.startswith("sqlite"):
        statements = [
            f"CREATE TRIGGER broken BEFORE UPDATE ON devices WHEN NEW.id = '{name}' "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        ]
    else:
        statements = [
            "CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN RAISE 'disk is full'; END $$ LANGUAGE plpgsql",
            f"CREATE TRIGGER broken BEFORE UPDATE ON devices FOR EACH ROW WHEN (NEW.id = '{name}') "
            "EXECUTE FUNCTION broken()",
        ]
    for statement in statements:
        await store._database.change("break the table", text(statement))
