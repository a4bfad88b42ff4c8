"""What happened to devices lately, from wherever it is kept, in order of time."""

from collections.abc import Callable

import pytest

from controlplane.capabilities.revoking import key_notice, rotation_notice, status_notice
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.identity import Device
from controlplane.contracts.segmentation import Attachment
from controlplane.storage import Store, device_changes
from controlplane.storage.device_changes import Within
from tests.controlplane.behaving import observed, verdict
from tests.controlplane.storage.conftest import NOW

NewDevice = Callable[..., Device]
DAY = Within(NOW, NOW + 1000.0)


async def told(store: Store, wanted: Within = DAY) -> list[tuple[float, str, str | None]]:
    return [(one.at - NOW, one.kind, one.by) for one in (await store.device_changes.page(wanted))[0]]


@pytest.fixture
async def device(store: Store, new_device: NewDevice) -> Device:
    """A device to which everything has happened."""
    made = new_device(enrolled_at=NOW)
    await store.devices.add(made)
    result = KeptResult(
        kind="tpm",
        level="hardware",
        reference="house",
        platform="ab",
        verified_at=NOW + 10.0,
        expires_at=NOW + 600.0,
        decision_id="dec-7",
        result="x",
    )
    await store.attestations.keep(made.id, made.key_thumbprint, result)
    place = Attachment(device=made.id, address="10.0.0.1", site="north", device_class="camera", recorded_at=NOW + 20.0)
    await store.segments.attach(place, "op-1")
    moved = verdict(made.id, time=NOW + 30.0, state="quarantined", was="watched")
    stayed = verdict(made.id, time=NOW + 31.0, state="quarantined", was="quarantined")
    for version, said in enumerate((moved, stayed)):
        await store.behaviour.apply([observed(made.id, version, verdict=said)])
    for notice in (
        status_notice([made.id], "active", NOW + 40.0, "admin"),
        rotation_notice(made.id, NOW + 50.0),
        key_notice("kid-of-ours", "It leaked.", NOW + 55.0),
        status_notice([made.id], "revoked", NOW + 60.0, "policy"),
    ):
        await store.revocations.add(notice)
    return made


async def test_everything_that_happened_to_a_device_is_told_newest_first(store: Store, device: Device) -> None:
    assert await told(store) == [
        (60.0, "revoked", "policy"),
        (60.0, "key", "policy"),
        (50.0, "key", "user"),
        (40.0, "status", "admin"),
        (30.0, "judged", "policy"),
        (20.0, "placed", "op-1"),
        (10.0, "attested", device.id),
        (0.0, "enrolled", None),
    ]
    found, since = await store.device_changes.page(DAY)
    assert since == NOW
    by_kind = {one.kind: one for one in found}
    assert by_kind["attested"].decision_id == "dec-7"
    assert by_kind["judged"].what == "From watched to quarantined. It points the other way."
    assert by_kind["placed"].what == "It is at 10.0.0.1, site north."


async def test_a_time_and_a_device_narrow_it(store: Store, device: Device, new_device: NewDevice) -> None:
    other = new_device(enrolled_at=NOW + 5.0)
    await store.devices.add(other)
    assert [kind for _, kind, _ in await told(store, Within(NOW + 20.0, NOW + 40.0))] == ["judged", "placed"]
    assert await told(store, Within(NOW, NOW + 1000.0, other.id)) == [(5.0, "enrolled", None)]
    assert len(await told(store, Within(NOW, NOW + 1000.0, device.id))) == 8
    assert await told(store, Within(NOW + 1000.0, NOW + 2000.0)) == []


async def test_a_page_says_how_far_back_it_reaches_and_the_next_one_goes_on(store: Store, device: Device) -> None:
    seen: list[str] = []
    until = NOW + 1000.0
    for _ in range(10):
        found, since = await store.device_changes.page(Within(NOW, until, limit=3))
        seen += [f"{one.at}{one.kind}{one.device}" for one in found]
        if since <= NOW:
            break
        until = since
    assert device.id in seen[0]
    assert len(seen) == len(set(seen)) == 8


async def test_events_further_back_than_is_looked_are_not_told_and_it_says_so(
    store: Store, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_changes, "MOST_ENTRIES", 2)
    found, since = await store.device_changes.page(DAY)
    assert since == NOW + 55.0
    assert {one.kind for one in found} == {"revoked", "key"}
    assert found[0].device == device.id


async def test_of_nothing_nothing_is_told(store: Store) -> None:
    assert await store.device_changes.page(DAY) == ([], NOW)
