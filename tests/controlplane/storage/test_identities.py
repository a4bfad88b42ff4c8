"""Records of identities in a store: with the change of the device or not at all, on the log in one order."""

import asyncio
from collections.abc import Callable

import pytest

from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Device
from controlplane.identifiers.followed import Read
from controlplane.identifiers.histories import Identity, RecordRefused
from controlplane.identifiers.records import Record, SignedRecord, Statement, sign_record
from controlplane.identity.organisation import Organisation
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store
from controlplane.transparency.entries import commit
from tests.clocks import Clock

New = Callable[..., Device]
NOW = 1_767_225_700.0


@pytest.fixture
async def author(store: Store) -> Organisation:
    made = Organisation("did:web:clinic.example", DeviceKey.generate(), "default", "log", Clock())
    await store.identities.begin(made)
    return made


def keyed(new_device: New) -> tuple[Device, DeviceKey]:
    key = DeviceKey.generate()
    device = new_device(id=f"dev-{key.thumbprint}", key=key.public, key_thumbprint=key.thumbprint)
    return device, key


def rotation(known: Identity, old: DeviceKey, new: DeviceKey, time_ms: int = int(NOW * 1000)) -> Record:
    said = Statement(
        federation="default",
        kind="device",
        subject=known.subject,
        act="rotated",
        sequence=known.sequence + 1,
        previous=known.head,
        issuer=known.issuer,
        key=new.public,
        time_ms=time_ms,
    )
    return sign_record(said, old, new).read()


async def known(store: Store, device: Device) -> Identity:
    found = await store.identities.known(device.id)
    assert found is not None
    return found


async def logged(store: Store) -> list[tuple[int, str, str]]:
    found = await store.identity_log.logged(0, 100, 10**9)
    said = [(one.number, one.record.read().statement) for one in found]
    return [(number, one.subject, one.act) for number, one in said]


async def test_a_device_is_written_with_its_record_and_the_entry_commits_to_it(
    store: Store, author: Organisation, new_device: New
) -> None:
    device, _ = keyed(new_device)
    assert await store.devices.add(device)
    assert not await store.devices.add(device)
    kept = await store.log.find("identity-0", "identity")
    assert kept is not None
    assert kept.salt is not None
    assert kept.document is not None
    signed = SignedRecord.model_validate_json(kept.document)
    assert signed.read().statement.subject == device.id
    assert commit(kept.salt, kept.document).hex() == kept.entry.commitment
    assert await logged(store) == [(0, device.id, "registered")]


async def test_a_rotation_is_whole_or_not_there(store: Store, author: Organisation, new_device: New) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    fresh, before = DeviceKey.generate(), await known(store, device)
    await store.identities.rotate(device.id, rotation(before, key, fresh), Notice(), NOW)
    found = await store.devices.get(device.id)
    assert found is not None
    assert (found.key, found.key_thumbprint, found.attestation.level) == (fresh.public, fresh.thumbprint, "none")
    assert await store.devices.by_thumbprint(key.thumbprint) is None
    with pytest.raises(RecordRefused):
        await store.identities.rotate(device.id, rotation(before, key, DeviceKey.generate()), Notice(), NOW)
    assert (await store.devices.get(device.id)) == found
    assert [act for _, _, act in await logged(store)] == ["registered", "rotated"]


async def test_a_key_of_before_is_nobodys_for_good(store: Store, author: Organisation, new_device: New) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    second, third = DeviceKey.generate(), DeviceKey.generate()
    await store.identities.rotate(device.id, rotation(await known(store, device), key, second), Notice(), NOW)
    await store.identities.rotate(device.id, rotation(await known(store, device), second, third), Notice(), NOW)
    for old in (key, second, third):
        late = new_device(id=f"dev-{old.thumbprint}", key=old.public, key_thumbprint=old.thumbprint)
        assert not await store.devices.add(late)
    for old in (key, second):
        with pytest.raises(RecordRefused) as refusal:
            back = rotation(await known(store, device), third, old)
            await store.identities.rotate(device.id, back, Notice(), NOW)
        assert refusal.value.cause == "key_known"


async def test_a_key_that_the_ledger_has_as_anothers_is_not_taken(
    store: Store, author: Organisation, new_device: New
) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    theirs = DeviceKey.generate()
    elsewhere = Identity("device", f"dev-{theirs.thumbprint}", "did:web:b.example", theirs.public, True, 1, "a" * 64)
    assert await store.ledgers.keep("log", Read(), "c1", [], [elsewhere], 1.0)
    with pytest.raises(RecordRefused) as refusal:
        taken = rotation(await known(store, device), key, theirs)
        await store.identities.rotate(device.id, taken, Notice(), NOW)
    assert refusal.value.cause == "key_known"


@pytest.mark.parametrize("apart", [-301.0, 301.0, -NOW, 8e9])
async def test_a_device_does_not_say_when_it_was(
    store: Store, author: Organisation, new_device: New, apart: float
) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    late = rotation(await known(store, device), key, DeviceKey.generate(), int((NOW + apart) * 1000))
    with pytest.raises(RecordRefused) as refusal:
        await store.identities.rotate(device.id, late, Notice(), NOW)
    assert refusal.value.cause == "wrong_time"
    assert len(await logged(store)) == 1


async def test_a_device_that_is_behind_does_not_have_its_record_late_from_the_start(
    store: Store, author: Organisation, new_device: New
) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    behind = rotation(await known(store, device), key, DeviceKey.generate(), int((NOW - 200) * 1000))
    await store.identities.rotate(device.id, behind, Notice(), NOW)
    assert [one.made_at for one in await store.identities.history(device.id)][1] == NOW


async def test_records_are_published_in_their_order_whatever_the_clocks_of_replicas(
    store: Store, replica: Store, new_device: New
) -> None:
    key, clock = DeviceKey.generate(), Clock(NOW)
    made = Organisation("did:web:clinic.example", key, "default", "board", clock)
    await store.identities.begin(made)
    await replica.identities.begin(made)
    device, old = keyed(new_device)
    await store.devices.add(device)
    earlier = NOW - 5
    fresh = rotation(await known(store, device), old, DeviceKey.generate(), int(earlier * 1000))
    await replica.identities.rotate(device.id, fresh, Notice(), earlier)
    clock.now = NOW - 9
    assert await replica.devices.set_status(device.id, "revoked")
    acts = [one.record.read().statement.act for one in await store.identities.outbox(10)]
    assert acts == ["registered", "rotated", "revoked"]


async def test_of_rotations_at_once_from_two_processes_one_is_made(
    store: Store, replica: Store, author: Organisation, new_device: New
) -> None:
    await replica.identities.begin(author)
    device, key = keyed(new_device)
    await store.devices.add(device)
    before = await known(store, device)
    records = [rotation(before, key, DeviceKey.generate()) for _ in range(6)]
    outcomes = await asyncio.gather(
        *(
            (store, replica)[number % 2].identities.rotate(device.id, one, Notice(), NOW)
            for number, one in enumerate(records)
        ),
        return_exceptions=True,
    )
    assert [one is None for one in outcomes].count(True) == 1
    assert all(one is None or isinstance(one, RecordRefused) for one in outcomes)
    assert len(await logged(store)) == 2


async def test_numbers_and_places_have_one_order_whoever_writes(
    store: Store, replica: Store, author: Organisation, new_device: New
) -> None:
    await replica.identities.begin(author)
    new = [keyed(new_device)[0] for _ in range(12)]
    await asyncio.gather(*((store, replica)[number % 2].devices.add(one) for number, one in enumerate(new)))
    await store.log.append("event", [("evt-1", 1.0, b"{}")])
    found = await store.identity_log.logged(0, 100, 10**9)
    assert [one.number for one in found] == list(range(12))
    assert sorted(one.place for one in found) == [one.place for one in found]
    assert await store.identity_log.logged_before(10**9) == 12


async def test_what_changes_while_nobody_can_sign_is_recorded_later(
    store: Store, replica: Store, author: Organisation, new_device: New
) -> None:
    one, other = keyed(new_device)[0], keyed(new_device)[0]
    for device in (one, other):
        await replica.devices.add(device)
    await replica.devices.set_status(one.id, "revoked")
    assert await logged(store) == []
    while await store.identities.make_pending(vouches=True):
        pass
    acts = {(name, act) for _, name, act in await logged(store)}
    assert acts == {(one.id, "registered"), (one.id, "revoked"), (other.id, "registered")}
    assert await store.identities.make_pending(vouches=True) == 0


async def test_nobody_is_vouched_for_because_the_database_says_so(
    store: Store, replica: Store, author: Organisation, new_device: New
) -> None:
    known, put = keyed(new_device)[0], keyed(new_device)[0]
    await store.devices.add(known)
    await replica.devices.add(put)
    assert await replica.devices.set_status(known.id, "revoked")
    assert await store.identities.make_pending(vouches=False) == 2
    assert [(name, act) for _, name, act in await logged(store)] == [(known.id, "registered"), (known.id, "revoked")]
    assert await store.identities.make_pending(vouches=False) == 0


async def test_only_a_revocation_is_recorded_of_what_becomes_of_a_status(
    store: Store, author: Organisation, new_device: New
) -> None:
    device, _ = keyed(new_device)
    await store.devices.add(device)
    for status in ("quarantined", "active", "revoked", "revoked"):
        await store.devices.set_status(device.id, status)  # type: ignore[arg-type]
    assert [act for _, _, act in await logged(store)] == ["registered", "revoked"]
    assert (await known(store, device)).is_revoked
    assert [one.record.read().statement.act for one in await store.identities.history(device.id)] == [
        "registered",
        "revoked",
    ]


async def test_a_revoked_device_rotates_nothing(store: Store, author: Organisation, new_device: New) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    record = rotation(await known(store, device), key, DeviceKey.generate())
    await store.devices.set_status(device.id, "revoked")
    with pytest.raises(RecordRefused) as refusal:
        await store.identities.rotate(device.id, record, Notice(), NOW)
    assert refusal.value.cause == "is_revoked"


async def test_a_device_that_was_set_apart_after_policy_answered_rotates_nothing(
    store: Store, author: Organisation, new_device: New
) -> None:
    device, key = keyed(new_device)
    await store.devices.add(device)
    record = rotation(await known(store, device), key, DeviceKey.generate())
    await store.devices.set_status(device.id, "quarantined")
    with pytest.raises(RecordRefused) as refusal:
        await store.identities.rotate(device.id, record, Notice(), NOW)
    assert refusal.value.cause == "is_quarantined"
    assert await store.devices.by_thumbprint(key.thumbprint) is not None
    await store.devices.set_status(device.id, "active")
    await store.identities.rotate(device.id, record, Notice(), NOW)


async def test_a_number_beyond_all_is_answered_with_nothing(store: Store) -> None:
    assert await store.identity_log.logged(10**15 - 1, 64, 10**15) == []
