import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from controlplane.capabilities.revoking import status_notice
from controlplane.contracts.events import Initiator, Notice
from controlplane.contracts.identity import Device, DeviceStatus, EnrolmentGrant, Trust
from controlplane.contracts.observed import Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.identity.registry import Registry
from controlplane.identity.tokens import token_digest
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.behaviour import Behaviour
from controlplane.storage.devices import Devices
from tests.controlplane.behaving import LOW, observed

NewDevice = Callable[..., Device]


class SlowDevices:
    """The devices of a real store, whose answers can be held up between being read and being given."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self.reads = 0
        self.read = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, device_id: str) -> Device | None:
        return await self._hold(await self._devices.get(device_id))

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        return await self._hold(await self._devices.by_thumbprint(thumbprint))

    async def set_status(
        self, device_id: str, status: DeviceStatus, notice: Notice | None = None, newcomer: Trust | None = None
    ) -> bool:
        return await self._devices.set_status(device_id, status, notice, newcomer)

    async def _hold(self, device: Device | None) -> Device | None:
        self.reads += 1
        self.read.set()
        await self.gate.wait()
        return device


class SlowStore:
    """A real store with slow devices."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.devices = SlowDevices(store.devices)
        self.behaviour: Behaviour = store.behaviour

    async def enrol(self, token_hash: str | None, device: Device) -> bool:
        return await self._store.enrol(token_hash, device)


@pytest.fixture
def slow(store: Store) -> SlowStore:
    return SlowStore(store)


@pytest.fixture
def registry(slow: SlowStore, clock: Any) -> Registry:
    return Registry(slow, clock)


async def test_a_device_is_read_once_in_a_while_by_name_and_by_key(
    store: Store, slow: SlowStore, registry: Registry, clock: Any, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    assert await registry.get(device.id) == device
    assert await registry.by_thumbprint(device.key_thumbprint) == device
    assert slow.devices.reads == 1
    clock.now += 1.0
    assert await registry.by_thumbprint(device.key_thumbprint) == device
    assert slow.devices.reads == 2


async def test_a_revocation_elsewhere_holds_here_within_the_time(
    store: Store, registry: Registry, clock: Any, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    await registry.get(device.id)
    await store.devices.set_status(device.id, "revoked")
    clock.now += 1.0
    seen = await registry.get(device.id)
    assert seen is not None
    assert seen.status == "revoked"


async def test_a_slow_read_is_as_old_as_its_beginning(
    store: Store, slow: SlowStore, registry: Registry, clock: Any, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    slow.devices.gate.clear()
    reading = asyncio.create_task(registry.get(device.id))
    await slow.devices.read.wait()
    clock.now += 0.8
    slow.devices.gate.set()
    await reading
    clock.now += 0.2
    await registry.get(device.id)
    assert slow.devices.reads == 2


async def test_this_processes_own_changes_hold_at_once(store: Store, registry: Registry, new_device: NewDevice) -> None:
    device = new_device()
    await store.devices.add(device)
    await registry.get(device.id)
    assert await registry.record_behaviour([observed(device.id)]) == frozenset()
    seen = await registry.get(device.id)
    assert seen is not None and seen.trust_history is not None
    assert seen == device.model_copy(update={"trust": LOW, "trust_history": seen.trust_history})
    await registry.record_behaviour([observed(device.id, 1, becomes="quarantined")])
    assert (await registry.by_thumbprint(device.key_thumbprint)).status == "quarantined"  # type: ignore[union-attr]
    assert await registry.set_status(device.id, "revoked")
    assert (await registry.get(device.id)).status == "revoked"  # type: ignore[union-attr]
    assert not await registry.set_status("dev-stranger", "revoked")


async def test_a_read_that_began_before_a_revocation_is_not_kept_or_joined_after_it(
    store: Store, slow: SlowStore, registry: Registry, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    slow.devices.gate.clear()
    early = asyncio.create_task(registry.get(device.id))
    await slow.devices.read.wait()
    await registry.set_status(device.id, "revoked")
    late = asyncio.create_task(registry.get(device.id))
    await asyncio.sleep(0.01)
    slow.devices.gate.set()
    await early
    for seen in (await late, await registry.get(device.id)):
        assert seen is not None
        assert seen.status == "revoked"


async def test_look_ups_at_once_share_a_read(
    store: Store, slow: SlowStore, registry: Registry, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    assert await asyncio.gather(*(registry.get(device.id) for _ in range(10))) == [device] * 10
    assert slow.devices.reads == 1


async def test_a_cancelled_caller_takes_nobody_with_him(
    store: Store, slow: SlowStore, registry: Registry, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    slow.devices.gate.clear()
    first, second = (asyncio.create_task(registry.get(device.id)) for _ in range(2))
    await slow.devices.read.wait()
    first.cancel()
    slow.devices.gate.set()
    assert await second == device
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_when_every_caller_is_cancelled_a_fault_is_no_noise(
    store: Store, slow: SlowStore, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    only = asyncio.create_task(registry.get("dev-a"))
    await store.close()
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert caplog.records == []
    assert registry._reads == {}


async def test_a_stranger_is_not_remembered_as_one(store: Store, registry: Registry, new_device: NewDevice) -> None:
    device = new_device()
    assert await registry.get(device.id) is None
    await store.devices.add(device)
    assert await registry.get(device.id) == device


async def test_an_enrolled_device_is_known_at_once_and_without_a_read(
    store: Store, slow: SlowStore, registry: Registry, new_device: NewDevice
) -> None:
    grant = EnrolmentGrant(roles=["trainer"], segment="homes", expires_at=4e9, uses=0)
    await store.tokens.add_many({token_digest("ztfm-enrol-x"): grant})
    device, other = new_device(), new_device()
    assert await registry.enrol("ztfm-enrol-x", device)
    assert not await registry.enrol("ztfm-enrol-x", other)
    assert await registry.get(device.id) == device
    assert slow.devices.reads == 0
    assert await registry.get(other.id) is None


async def test_without_a_token_a_key_is_enrolled_once(registry: Registry, new_device: NewDevice) -> None:
    device = new_device()
    enrolled = await asyncio.gather(*(registry.enrol(None, device) for _ in range(8)))
    assert sorted(enrolled) == [False] * 7 + [True]
    assert await registry.get(device.id) == device


async def test_when_the_store_is_down_so_is_the_registry(
    store: Store, registry: Registry, clock: Any, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    await registry.get(device.id)
    await store.close()
    clock.now += 1.0
    calls = (
        registry.get(device.id),
        registry.by_thumbprint(device.key_thumbprint),
        registry.enrol("token", device),
        registry.set_status(device.id, "active"),
        registry.record_behaviour([observed(device.id)]),
    )
    assert {type(result) for result in await asyncio.gather(*calls, return_exceptions=True)} == {StoreUnavailable}


async def test_after_a_change_of_which_nobody_knows_whether_it_was_made_nothing_is_remembered(
    store: Store, slow: SlowStore, registry: Registry, new_device: NewDevice
) -> None:
    device = new_device()
    await store.devices.add(device)
    await registry.get(device.id)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await registry.set_status(device.id, "revoked")
    with pytest.raises(StoreUnavailable):
        await registry.get(device.id)


async def test_the_memory_of_the_registry_is_bounded(store: Store, clock: Any, new_device: NewDevice) -> None:
    registry = Registry(store, clock, capacity=3)
    devices = [new_device() for _ in range(8)]
    for device in devices:
        await store.devices.add(device)
        await registry.get(device.id)
    assert len(registry._memory) == 3
    assert registry._reads == {}


class Announced:
    """Takes down what is announced."""

    def __init__(self) -> None:
        self.notices: list[tuple[tuple[str, ...], str, str]] = []
        self.written_: list[Notice] = []

    def status_notice(
        self, subjects: Collection[str], status: DeviceStatus, *, initiator: Initiator, txn: str | None = None
    ) -> Notice:
        self.notices.append((tuple(subjects), status, initiator))
        return status_notice(subjects, status, 1_767_225_600.0, initiator, txn)

    def written(self, notice: Notice) -> None:
        self.written_.append(notice)


async def test_who_is_set_apart_and_who_is_let_back_is_announced_once_it_is_written(
    store: Store, slow: SlowStore, clock: Any, new_device: NewDevice
) -> None:
    announced = Announced()
    registry = Registry(slow, clock, announcer=announced)
    apart, back, neither = devices = [new_device() for _ in range(3)]
    for device in devices:
        await store.devices.add(device)
    sent = [
        observed(apart.id, becomes="quarantined"),
        observed(back.id, becomes="recovering"),
        observed(neither.id),
    ]
    assert await registry.record_behaviour([observed(apart.id, 7, becomes="quarantined")]) == {apart.id}
    assert announced.written_ == []
    assert await store.events.after(0) == []
    assert await registry.record_behaviour([*sent[:2], observed(neither.id, 7, becomes="quarantined")]) == {neither.id}
    assert announced.notices == [((apart.id,), "quarantined", "policy"), ((back.id,), "active", "policy")]
    [notice] = announced.written_
    assert [one.value for one in notice.revocations] == [apart.id]
    assert len(await store.events.after(0)) == len(notice.events) == 2


async def test_who_keeps_it_in_another_way_is_handed_the_notice_that_belongs_to_it(
    store: Store, slow: SlowStore, clock: Any, new_device: NewDevice
) -> None:
    announced, device = Announced(), new_device()
    await store.devices.add(device)
    registry = Registry(slow, clock, announcer=announced)
    await registry.get(device.id)
    sent, stale = [observed(device.id, becomes="quarantined")], frozenset({device.id})

    async def _keep(given: Sequence[Observed], contributions: Sequence[Contribution], tell: Tell) -> frozenset[str]:
        assert (given, contributions) == (sent, ())
        return stale or await store.behaviour.apply(given, contributions, tell)

    assert await registry.record_behaviour(sent, (), _keep) == {device.id}
    assert announced.written_ == []
    stale = frozenset()
    assert await registry.record_behaviour(sent, (), _keep) == frozenset()
    assert (await registry.get(device.id)).status == "quarantined"  # type: ignore[union-attr]
    assert len(announced.written_) == 1
    assert len(await store.events.after(0)) == 1


async def test_who_is_let_back_by_a_person_has_a_newcomers_trust(
    store: Store, slow: SlowStore, clock: Any, new_device: NewDevice
) -> None:
    newcomer = Trust(score=0.55, observations=0)
    device = new_device(status="quarantined", trust=LOW)
    await store.devices.add(device)
    await Registry(slow, clock, newcomer=newcomer).set_status(device.id, "active")
    assert await store.devices.get(device.id) == device.model_copy(update={"status": "active", "trust": newcomer})
