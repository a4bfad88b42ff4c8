"""Attachments and grants as they are kept: one address one device, and what makes a grant void, whoever wrote it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.capabilities.revoking import key_notice, status_notice
from controlplane.contracts.events import Notice, Revocation
from controlplane.contracts.identity import Device
from controlplane.contracts.segmentation import Attachment, Cut, Grant
from controlplane.storage import Store
from controlplane.storage.segments import AHEAD_SECONDS, MAX_ALIKE, Made, Segments
from controlplane.storage.tables import devices
from controlplane.storage.tables_capabilities import revocations
from controlplane.storage.tables_segments import segment_attachments, segment_grants
from tests.controlplane.storage.conftest import NOW

New = Callable[..., Device]
KEYS = ["A" * 42 + "A=", "B" * 42 + "A="]


def place(device: str, **changes: Any) -> Attachment:
    known = {"address": "10.20.0.1", "site": "plant-1", "device_class": "camera", "recorded_at": NOW}
    return Attachment(device=device, **{**known, **changes})


def grant(device: str, number: int = 1, **changes: Any) -> Made:
    known = {
        "source": "10.20.0.1",
        "service": "aggregator",
        "expires_at": NOW + 60.0,
        "decision": "dec-1",
        "segment": "homes",
        "site": "plant-1",
        "device_class": "camera",
    }
    line, kid, issued_at = changes.pop("line", None), changes.pop("kid", "key-1"), changes.pop("issued_at", NOW)
    return Made(Grant(id=f"cap-{number:03}", device=device, **{**known, **changes}), line, kid, issued_at)


@pytest.fixture
async def camera(store: Store, new_device: New) -> str:
    """A device that is attached, and has a grant."""
    device = new_device()
    assert await store.enrol(None, device)
    assert await store.segments.attach(place(device.id), "op-1") == "kept"
    assert await store.segments.grant(grant(device.id), NOW)
    return device.id


async def ids(store: Store, now: float = NOW) -> list[str]:
    return [found.id for found in await store.segments.granted(now)]


async def test_a_grant_is_there_as_it_was_until_it_ends(store: Store, replica: Store, camera: str) -> None:
    assert await replica.segments.granted(NOW + 59.9) == [grant(camera).grant]
    assert await ids(replica, NOW + 60.0) == []
    assert await replica.segments.get(camera) == place(camera)
    assert await replica.segments.attached() == [place(camera)]


@pytest.mark.parametrize(
    "moved",
    [
        {"address": "10.20.0.2"},
        {"site": "plant-2"},
        {"line": "line-2"},
        {"device_class": "robot"},
        {"wireguard": KEYS[0]},
    ],
)
async def test_a_grant_of_another_place_is_void_and_holds_again_there(
    store: Store, camera: str, moved: dict[str, str]
) -> None:
    await store.segments.attach(place(camera, **moved), "op-1")
    assert await ids(store) == []
    made = {"source" if name == "address" else name: value for name, value in moved.items()}
    await store.segments.grant(grant(camera, 2, **made), NOW)
    assert await ids(store) == ["cap-002"]
    await store.segments.attach(place(camera), "op-1")
    assert await ids(store) == ["cap-001"]


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
async def test_who_is_set_apart_is_cut_and_what_it_held_stays_void(
    store: Store, replica: Store, camera: str, status: Any
) -> None:
    before = await replica.segments.mark()
    await store.devices.set_status(camera, status, status_notice([camera], status, NOW + 5.0, "admin"))
    assert await replica.segments.mark() != before
    assert await replica.segments.cuts() == [Cut(device=camera, address="10.20.0.1", reason=status)]
    assert await ids(replica) == []


async def test_who_is_let_back_is_no_longer_cut_and_has_none_of_what_it_held(
    store: Store, replica: Store, camera: str
) -> None:
    notice = status_notice([camera], "quarantined", NOW + 5.0, "admin")
    await store.devices.set_status(camera, "quarantined", notice)
    await store.devices.set_status(camera, "active", status_notice([camera], "active", NOW + 6.0, "admin"))
    assert await replica.segments.cuts() == []
    assert await ids(replica) == []
    await store.segments.grant(grant(camera, 2, issued_at=NOW + 20.0), NOW + 20.0)
    assert await ids(replica, NOW + 20.0) == ["cap-002"]


async def test_what_makes_a_capability_void_makes_its_grant_void(store: Store, camera: str) -> None:
    for number in (2, 3):
        await store.segments.grant(grant(camera, number, kid=f"key-{number}"), NOW)
    before = await store.segments.mark()
    revoked = Revocation(kind="capability", value="cap-001", revoked_at=NOW, expires_at=NOW + 600.0)
    await store.revocations.add(Notice(revocations=[revoked]))
    assert await ids(store) == ["cap-002", "cap-003"]
    await store.revocations.add(key_notice("key-3", "Lost.", NOW))
    assert await store.segments.mark() != before
    assert await ids(store) == ["cap-002"]
    ended = Revocation(kind="subject", value=camera, revoked_at=NOW - 1.0, expires_at=NOW + 600.0)
    await store.revocations.add(Notice(revocations=[ended]))
    assert await ids(store) == ["cap-002"]
    await store.revocations.add(Notice(revocations=[ended.model_copy(update={"revoked_at": NOW})]))
    assert await ids(store) == []


async def test_no_two_devices_have_one_address_or_one_tunnel(store: Store, new_device: New, camera: str) -> None:
    other = new_device()
    assert await store.enrol(None, other)
    attach = store.segments.attach
    assert await attach(place(other.id), "op-1") == "taken"
    assert await attach(place(other.id, address="10.20.0.2", wireguard=KEYS[0]), "op-1") == "kept"
    assert await attach(place(camera, wireguard=KEYS[0]), "op-1") == "taken"
    assert await attach(place(camera, wireguard=KEYS[1]), "op-1") == "kept"
    assert await attach(place("dev-nobody", address="10.20.0.3"), "op-1") == "unknown"
    assert [found.device for found in await store.segments.attached()] == sorted([camera, other.id])


async def test_there_are_only_so_many_attachments_and_one_may_move(store: Store, new_device: New, camera: str) -> None:
    few = Segments(store.segments._database, most=1)
    other = new_device()
    assert await store.enrol(None, other)
    assert await few.attach(place(other.id, address="10.20.0.2"), "op-1") == "full"
    assert await few.attach(place(camera, address="10.20.0.3"), "op-1") == "kept"
    assert await few.detach(camera)
    assert await few.attach(place(other.id, address="10.20.0.2"), "op-1") == "kept"


async def test_who_asks_again_and_again_fills_no_table(store: Store, camera: str) -> None:
    for number in range(2, MAX_ALIKE + 4):
        await store.segments.grant(grant(camera, number, expires_at=NOW + 60.0 + number), NOW)
    await store.segments.grant(grant(camera, 900, service="gateway"), NOW)
    found = await ids(store)
    assert len(found) == MAX_ALIKE + 1
    assert found[-2:] == [f"cap-{MAX_ALIKE + 3:03}", "cap-900"]
    assert "cap-001" not in found


async def test_a_full_table_takes_no_more_until_grants_have_ended(store: Store, camera: str) -> None:
    few = Segments(store.segments._database, most_grants=1)
    assert not await few.grant(grant(camera, 2), NOW)
    assert await few.grant(grant(camera, 3, expires_at=NOW + 90.0), NOW + 60.0)
    assert await store.segments.purge(NOW + 60.5) == 1
    assert await ids(store, NOW + 60.0) == ["cap-003"]


async def test_who_is_detached_has_no_grant_left_even_when_it_comes_back(store: Store, camera: str) -> None:
    changes = await store.segments.changes()
    assert await store.segments.detach(camera)
    assert not await store.segments.detach(camera)
    assert await store.segments.changes() > changes
    await store.segments.attach(place(camera), "op-1")
    assert await ids(store) == []


async def test_each_grant_and_each_attachment_makes_another_mark(store: Store, camera: str) -> None:
    marks = [await store.segments.mark()]
    assert marks == [await store.segments.mark()]
    await store.segments.grant(grant(camera, 2), NOW + 1.0)
    marks.append(await store.segments.mark())
    await store.segments.attach(place(camera), "op-1")
    marks.append(await store.segments.mark())
    await store.segments.purge(NOW + 600.0)
    marks.append(await store.segments.mark())
    assert len(set(marks)) == 4


async def test_those_that_were_made_since_are_read_alone(store: Store, camera: str) -> None:
    await store.segments.grant(grant(camera, 2), NOW + 5.0)
    assert [found.id for found in await store.segments.granted(NOW, NOW + 5.0)] == ["cap-002"]
    assert [found.id for found in await store.segments.granted(NOW, NOW + 5.1)] == []


async def test_what_a_table_is_read_in_grows_with_the_grants_and_not_with_their_square(
    store: Store, new_device: New
) -> None:
    many = 3000
    base, place_of = new_device(), "10.{0}.{1}.{2}".format
    rows = [
        {"device": f"dev-{number}", "source": place_of(number // 65_536, number // 256 % 256, number % 256)}
        for number in range(many)
    ]

    async def _fill(connection: AsyncConnection) -> None:
        known = {
            "key_x": base.key.x,
            "key_y": base.key.y,
            "roles": "[]",
            "segment": base.segment,
            "status": base.status,
            "attestation_level": "none",
            "trust_score": 0.6,
            "trust_observations": 0,
            "enrolled_at": NOW,
        }
        await connection.execute(
            insert(devices), [{**known, "id": row["device"], "key_thumbprint": f"{row['device']:x>43}"} for row in rows]
        )
        attached = place(base.id).model_dump() | {"recorded_by": "op-1"}
        await connection.execute(
            insert(segment_attachments),
            [{**attached, "device": row["device"], "address": row["source"]} for row in rows],
        )
        granted = {**grant(base.id).grant.model_dump(), "kid": "key-1", "issued_at": NOW, "made_at": NOW}
        await connection.execute(
            insert(segment_grants), [{**granted, **row, "id": f"cap-{number}"} for number, row in enumerate(rows)]
        )
        ended = {"kind": "subject", "revoked_at": NOW - 1.0, "expires_at": NOW + 600.0}
        await connection.execute(insert(revocations), [{**ended, "value": row["device"]} for row in rows])

    await store.segments._database.write("fill the tables", _fill)
    begun = time.process_time()
    assert len(await store.segments.granted(NOW)) == many
    # Looking at each device for each grant takes several seconds.
    assert time.process_time() - begun < 2.0


async def test_a_grant_of_before_the_clock_was_set_back_is_of_the_future_and_opens_nothing(
    store: Store, camera: str
) -> None:
    late = NOW - 3600.0
    assert await ids(store, late) == []
    assert await ids(store, NOW - AHEAD_SECONDS) == ["cap-001"]
