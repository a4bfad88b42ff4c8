import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import Device
from controlplane.storage import Store
from controlplane.storage.devices import insert_device
from controlplane.storage.profiles import MAX_BYTES, KeptProfile

NOW = 1_767_225_600.0
NewDevice = Callable[..., Device]


@pytest.fixture
async def names(store: Store, new_device: NewDevice) -> list[str]:
    devices = [new_device() for _ in range(3)]
    for device in devices:
        await store.devices.add(device)
    return [device.id for device in devices]


async def test_a_profile_is_kept_by_subject_and_channel(store: Store, names: list[str]) -> None:
    assert await store.profiles.put("access", {names[0]: KeptProfile(b"{}", 0)}, NOW) == frozenset()
    assert await store.profiles.put("inference", {names[0]: KeptProfile(b"[]", 0)}, NOW) == frozenset()
    assert await store.profiles.get("access", names) == {names[0]: KeptProfile(b"{}", 1)}
    assert await store.profiles.get("inference", [names[0]]) == {names[0]: KeptProfile(b"[]", 1)}
    assert await store.profiles.get("access", [names[1], "dev-stranger"]) == {}
    assert await store.profiles.get("access", []) == {}


async def test_it_is_replaced_by_who_read_it_last_and_by_nobody_else(store: Store, names: list[str]) -> None:
    await store.profiles.put("access", dict.fromkeys(names, KeptProfile(b"1", 0)), NOW)
    assert await store.profiles.put("access", {names[0]: KeptProfile(b"2", 1)}, NOW) == frozenset()
    stale = {names[0]: KeptProfile(b"3", 1), names[1]: KeptProfile(b"3", 1), names[2]: KeptProfile(b"3", 0)}
    assert await store.profiles.put("access", stale, NOW) == {names[0], names[2]}
    kept = await store.profiles.get("access", names)
    assert {name: one.document for name, one in kept.items()} == {names[0]: b"2", names[1]: b"3", names[2]: b"1"}


async def test_of_two_replicas_that_replace_the_same_one_is_told(
    store: Store, replica: Store, names: list[str]
) -> None:
    await store.profiles.put("access", dict.fromkeys(names, KeptProfile(b"0", 0)), NOW)
    sent = dict.fromkeys(names, KeptProfile(b"1", 1))
    told = await asyncio.gather(store.profiles.put("access", sent, NOW), replica.profiles.put("access", sent, NOW))
    assert sorted(map(len, told)) == [0, 3]
    assert {one.version for one in (await store.profiles.get("access", names)).values()} == {2}


async def test_many_are_kept_and_found(store: Store, new_device: NewDevice) -> None:
    devices = [new_device() for _ in range(1100)]

    async def add(connection: AsyncConnection) -> None:
        for device in devices:
            await insert_device(connection, device)

    await store._database.write("register devices", add)
    sent = {device.id: KeptProfile(b"{}", 0) for device in devices}
    assert await store.profiles.put("access", sent, NOW) == frozenset()
    assert len(await store.profiles.get("access", sent)) == 1100


async def test_one_that_is_too_large_is_refused_with_all_others(store: Store, names: list[str]) -> None:
    sent = {names[0]: KeptProfile(b"{}", 0), names[1]: KeptProfile(b" " * (MAX_BYTES + 1), 0)}
    with pytest.raises(ValueError, match="at most"):
        await store.profiles.put("access", sent, NOW)
    assert await store.profiles.get("access", names) == {}
