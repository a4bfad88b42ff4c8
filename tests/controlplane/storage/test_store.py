import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from controlplane.contracts.identity import Device, EnrolmentGrant
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage.errors import StoreError

NOW = 1_767_225_600.0
NewDevice = Callable[..., Device]


async def _issue(store: Store, *hashes: str, expires_at: float = NOW + 60) -> None:
    grant = EnrolmentGrant(roles=["trainer"], segment="homes", expires_at=expires_at, uses=0)
    await store.tokens.add_many(dict.fromkeys(hashes, grant))


async def _uses(store: Store, token_hash: str) -> int:
    grant = await store.tokens.get(token_hash)
    assert grant is not None
    return grant.uses


async def test_an_enrolment_uses_up_the_token_and_registers_the_device(store: Store, new_device: NewDevice) -> None:
    await _issue(store, "h1")
    device = new_device()
    assert await store.enrol("h1", device)
    assert await store.devices.get(device.id) == device
    assert await _uses(store, "h1") == 1


async def test_one_token_enrols_one_of_many_devices_that_try_at_once(
    store: Store, replica: Store, new_device: NewDevice
) -> None:
    await _issue(store, "h1")
    devices = [new_device() for _ in range(20)]
    tries = (side.enrol("h1", device) for side, device in zip([store, replica] * 10, devices, strict=True))
    assert sorted(await asyncio.gather(*tries)) == [False] * 19 + [True]
    assert len(await store.devices.page()) == 1


async def test_one_device_uses_up_one_of_many_tokens_that_it_tries_at_once(
    store: Store, replica: Store, new_device: NewDevice
) -> None:
    hashes = [f"h{number}" for number in range(12)]
    await _issue(store, *hashes)
    device = new_device()
    tries = (side.enrol(name, device) for side, name in zip([store, replica] * 6, hashes, strict=True))
    assert sum(await asyncio.gather(*tries)) == 1
    assert sum([await _uses(store, name) for name in hashes]) == 1


@pytest.mark.parametrize("changed", ["id", "key"])
async def test_a_taken_name_or_key_leaves_the_token_usable(store: Store, new_device: NewDevice, changed: str) -> None:
    await _issue(store, "h1", "h2")
    first, other = new_device(), new_device()
    assert await store.enrol("h1", first)
    if changed == "id":
        clash = other.model_copy(update={"id": first.id})
    else:
        clash = other.model_copy(update={"key": first.key, "key_thumbprint": first.key_thumbprint})
    assert not await store.enrol("h2", clash)
    assert await _uses(store, "h2") == 0
    assert await store.devices.page() == [first]


@pytest.mark.parametrize(("offset", "enrols"), [(0.001, True), (0.0, False), (-1.0, False)])
async def test_a_token_holds_until_its_expiry_and_not_at_it(
    store: Store, new_device: NewDevice, offset: float, enrols: bool
) -> None:
    await _issue(store, "h1", expires_at=NOW + offset)
    assert await store.enrol("h1", new_device(enrolled_at=NOW)) is enrols
    assert len(await store.devices.page()) == enrols


async def test_an_unknown_token_registers_nothing(store: Store, new_device: NewDevice) -> None:
    assert not await store.enrol("h1", new_device())
    assert await store.devices.page() == []


async def test_a_fault_between_token_and_device_leaves_neither_changed(
    url: str, store: Store, new_device: NewDevice
) -> None:
    await _issue(store, "h1")
    await _break_devices(store, url)
    with pytest.raises(StoreUnavailable, match="nothing was half-written"):
        await store.enrol("h1", new_device())
    assert await _uses(store, "h1") == 0


async def _break_devices(store: Store, url: str) -> None:
    if url.startswith("sqlite"):
        statements = [
            "CREATE TRIGGER broken BEFORE INSERT ON devices BEGIN SELECT RAISE(ABORT, 'no space on device'); END"
        ]
    else:
        statements = [
            "CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN RAISE 'no space on device'; END $$ LANGUAGE plpgsql",
            "CREATE TRIGGER broken BEFORE INSERT ON devices FOR EACH ROW EXECUTE FUNCTION broken()",
        ]
    for statement in statements:
        await store._database.change("break the table", text(statement))


async def test_a_closed_store_says_so(url: str) -> None:
    store = await open_store(url)
    await store.ping()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        await store.ping()
    with pytest.raises(StoreError, match="was closed"):
        await store.capabilities.consume({"cap-1": NOW})


async def test_what_one_store_wrote_another_reads_after_a_restart(url: str, new_device: NewDevice) -> None:
    first = await open_store(url, synchronous="FULL")
    device = new_device()
    assert await first.devices.add(device)
    await first.close()
    second = await open_store(url)
    assert await second.devices.get(device.id) == device
    await second.close()
