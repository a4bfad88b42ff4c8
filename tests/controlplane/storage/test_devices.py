import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import update

from controlplane.contracts.devices import DeviceQuery
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.tables import devices

NewDevice = Callable[..., Device]


async def test_a_device_reads_back_by_name_and_by_key_as_it_was_kept(store: Store, new_device: NewDevice) -> None:
    device = new_device(
        roles=["consumer", "trainer"],
        attestation=Attestation(level="hardware", verified_at=1_700_000_000.123456),
        trust=Trust(score=0.1 + 0.2, observations=999_999_999),
        status="quarantined",
        enrolled_at=1_767_225_600.987654,
    )
    assert await store.devices.add(device)
    assert await store.devices.get(device.id) == device
    assert await store.devices.by_thumbprint(device.key_thumbprint) == device


async def test_a_stranger_is_none(store: Store, new_device: NewDevice) -> None:
    stranger = new_device()
    assert await store.devices.get(stranger.id) is None
    assert await store.devices.by_thumbprint(stranger.key_thumbprint) is None
    assert not await store.devices.set_status(stranger.id, "revoked")


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "a" * 129, "' OR 1=1 --", "name\n"])
async def test_what_cannot_be_a_name_is_none_and_spoils_nobody_elses_look_up(
    store: Store, new_device: NewDevice, name: str
) -> None:
    device = new_device()
    await store.devices.add(device)
    nobody, found = await asyncio.gather(store.devices.get(name), store.devices.get(device.id))
    assert (nobody, found) == (None, device)


async def test_a_name_and_a_key_are_taken_once(store: Store, replica: Store, new_device: NewDevice) -> None:
    device = new_device()
    added = await asyncio.gather(*(side.devices.add(device) for side in [store, replica] * 5))
    assert sum(added) == 1
    other = new_device()
    assert not await store.devices.add(other.model_copy(update={"id": device.id}))
    assert not await store.devices.add(
        other.model_copy(update={"key": device.key, "key_thumbprint": device.key_thumbprint})
    )
    assert await store.devices.page() == [device]


async def test_a_status_changes_for_everybody(store: Store, replica: Store, new_device: NewDevice) -> None:
    device = new_device()
    await store.devices.add(device)
    assert await store.devices.set_status(device.id, "revoked")
    seen = await replica.devices.get(device.id)
    assert seen == device.model_copy(update={"status": "revoked"})


async def test_revoked_is_final(store: Store, replica: Store, new_device: NewDevice) -> None:
    device = new_device()
    await store.devices.add(device)
    assert await store.devices.set_status(device.id, "quarantined")
    assert await store.devices.set_status(device.id, "revoked")
    for status in ("active", "quarantined"):
        assert not await replica.devices.set_status(device.id, status)  # type: ignore[arg-type]
    assert await store.devices.set_status(device.id, "revoked"), "once more does no harm"
    seen = await store.devices.get(device.id)
    assert seen is not None
    assert seen.status == "revoked"


async def test_a_role_is_found_whole_and_whatever_the_status(store: Store, new_device: NewDevice) -> None:
    assert not await store.devices.has_role("administrator")
    await store.devices.add(new_device(roles=["administrators", "sub.administrator", "trainer"]))
    assert not await store.devices.has_role("administrator")
    assert not await store.devices.has_role("%")
    assert not await store.devices.has_role("t_ainer")
    device = new_device(roles=["trainer", "administrator"])
    await store.devices.add(device)
    await store.devices.set_status(device.id, "revoked")
    assert await store.devices.has_role("administrator")
    assert await store.devices.has_role("trainer")


async def test_pages_follow_one_another_without_gap_or_repetition(store: Store, new_device: NewDevice) -> None:
    names = [f"dev-{number:02}" for number in range(7)]
    for name in names:
        await store.devices.add(new_device(id=name))
    seen: list[str] = []
    while page := await store.devices.page(after=seen[-1] if seen else "", limit=3):
        assert len(page) <= 3
        seen += [device.id for device in page]
    assert seen == names
    assert len(await store.devices.page(limit=0)) == 1
    assert len(await store.devices.page(limit=10**9)) == 7


async def test_many_look_ups_at_once_each_get_their_own(store: Store, new_device: NewDevice) -> None:
    many = [new_device() for _ in range(100)]
    await asyncio.gather(*(store.devices.add(device) for device in many))
    assert await asyncio.gather(*(store.devices.get(device.id) for device in many)) == many
    keys = [device.key_thumbprint for device in many]
    assert await asyncio.gather(*(store.devices.by_thumbprint(key) for key in keys)) == many


@pytest.mark.parametrize(
    "damage", [{"key_y": "-1"}, {"roles": "x"}, {"roles": '[["trainer"]]'}, {"status": "ACTIVE"}, {"trust_score": 1e9}]
)
async def test_a_row_that_nobody_here_wrote_is_nobodys_device_and_spoils_no_other_look_up(
    store: Store, new_device: NewDevice, damage: dict[str, object]
) -> None:
    damaged, sound = new_device(), new_device()
    assert await store.devices.add(damaged)
    assert await store.devices.add(sound)
    is_it = devices.c.id == damaged.id
    await store._database.change("damage a row", update(devices).where(is_it).values(damage))
    found = await asyncio.gather(store.devices.get(damaged.id), store.devices.get(sound.id), return_exceptions=True)
    assert isinstance(found[0], StoreUnavailable)
    assert found[1] == sound
    assert await store.devices.by_thumbprint(sound.key_thumbprint) == sound
    for listing in (store.devices.page(), store.fleet.page(DeviceQuery(), 0.0)):
        with pytest.raises(StoreUnavailable, match="not as ztfm writes it"):
            await listing
