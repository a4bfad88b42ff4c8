"""Which grants are void by what the control plane says of devices and capabilities."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.plane import ControlPlane as ControlPlaneClient
from adapters.segments.revoked import GrantFeed
from controlplane.contracts.events import Revocation
from controlplane.contracts.segmentation import Grant
from controlplane.jose.jws import parse, parse_object
from controlplane.jose.keys import DeviceKey
from tests.adapters.listening import Relay, Through, relayed, until
from tests.adapters.segments.plant import grant
from tests.support import Caller, ControlPlane


@asynccontextmanager
async def listening(plane: ControlPlane) -> AsyncIterator[tuple[Relay, GrantFeed]]:
    """A feed that has heard from the control plane, through a relay."""
    gateway = plane.enrol("gateway")
    async with (
        relayed(plane.url) as relay,
        Through(plane.url, gateway.key, f"127.0.0.1:{relay.port}") as client,
        GrantFeed(client) as feed,
    ):
        assert await feed.ready(5.0), feed.ignored
        feed.news.clear()
        yield relay, feed


def granted(device: Caller, identifier: str) -> Grant:
    return grant("camera", "gateway").model_copy(update={"device": device.id, "id": identifier})


def quarantine(plane: ControlPlane, device: Caller) -> None:
    changed = {"status": "quarantined", "reason": "Odd."}
    plane.enrol("operator").post(f"/v1/devices/{device.id}/status", changed).expect(200)


async def test_a_device_that_was_set_apart_voids_its_grants_of_older_tables_alone(plane: ControlPlane) -> None:
    device, other = plane.enrol("consumer"), plane.enrol("consumer")
    one, another = granted(device, "cap-1"), granted(other, "cap-2")
    async with listening(plane) as (_, feed):
        made_at = time.time()
        assert not feed.is_void(one, made_at)
        quarantine(plane, device)
        await until(feed.news.is_set)
        await until(lambda: feed.is_void(one, made_at))
        assert not feed.is_void(another, made_at)
        assert not feed.is_void(one, time.time() + 3.0), "a table that is made later knows of it"


async def test_a_revoked_capability_voids_its_own_grant_alone(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    size = {"prompt_tokens": 8, "max_output_tokens": 8}
    token = str(device.capability("inference", audience="gateway-1", inference=size).expect(201)["access_token"])
    found = parse(token)
    assert found is not None
    one, another = granted(device, parse_object(found.payload)["jti"]), granted(device, "cap-3")
    async with listening(plane) as (_, feed):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"token={token}".encode()
        plane.call("POST", "/oauth/revoke", body=body, key=device.key, headers=headers).expect(200)
        await until(lambda: feed.is_void(one, time.time()))
        assert not feed.is_void(another, time.time())


async def test_what_was_forgotten_for_want_of_room_is_void_while_nothing_is_heard() -> None:
    feed = GrantFeed(ControlPlaneClient("http://127.0.0.1:1", DeviceKey.generate()))
    state, now = feed._state, time.time()
    state._capacity = 10
    for number in range(12):
        state.add(Revocation(kind="capability", value=f"cap-{number}", revoked_at=now, expires_at=now + 300.0))
    assert not feed.is_current
    one = grant("camera", "gateway").model_copy(update={"device": "dev-1", "id": "cap-0"})
    assert feed.is_void(one, now - 1.0), "it is among those that were forgotten, or may be"
    assert not feed.is_void(one, now + 60.0), "a table that is made later knows of it"
    await feed._plane.close()  # type: ignore[attr-defined]


async def test_what_was_heard_counts_while_nothing_more_is_heard_and_nothing_is_void_for_silence(
    plane: ControlPlane,
) -> None:
    device, other = plane.enrol("consumer"), plane.enrol("consumer")
    async with listening(plane) as (relay, feed):
        made_at = time.time()
        quarantine(plane, device)
        await until(lambda: feed.is_void(granted(device, "cap-4"), made_at))
        relay.is_open = False
        relay.cut()
        await until(lambda: not relay._writers)
        await feed.close()
        assert not feed.is_current
        assert feed.is_void(granted(device, "cap-4"), made_at)
        assert not feed.is_void(granted(other, "cap-5"), made_at)


async def test_events_that_were_missed_void_every_grant_of_older_tables(plane: ControlPlane) -> None:
    device, other = plane.enrol("consumer"), plane.enrol("consumer")
    async with listening(plane) as (_, feed):
        made_at = time.time()
        assert feed._last is not None
        # As after a stream from which somebody left events out.
        feed._last -= 2
        quarantine(plane, device)
        await until(lambda: feed.ignored["missed"] > 0)
        await until(lambda: feed.is_void(granted(other, "cap-6"), made_at))
        assert not feed.is_void(granted(other, "cap-6"), time.time() + 3.0)
