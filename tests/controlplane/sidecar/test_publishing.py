"""Bundles are handed to OPA alone, only when they changed, and as soon as they do."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from controlplane.sidecar.publishing import MEDIA_TYPE, BundlePublisher

LONG = "modes=snapshot,delta;wait=30"


@pytest.fixture
async def publisher() -> AsyncIterator[BundlePublisher]:
    found = BundlePublisher()
    yield found
    await found.stop()
    await found.stop()


@pytest.fixture
async def session(publisher: BundlePublisher) -> AsyncIterator[aiohttp.ClientSession]:
    base = await publisher.start()
    headers = {"Authorization": f"Bearer {publisher.token}"}
    async with aiohttp.ClientSession(base, headers=headers) as found:
        yield found


async def test_the_holder_of_the_token_gets_the_bundle_and_nobody_else(
    publisher: BundlePublisher, session: aiohttp.ClientSession
) -> None:
    publisher.offer("base", b"first")
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer guessed"}, {"Authorization": "Bearer \xfc"}):
        async with session.get("/ztfm.tar.gz", headers=headers) as response:
            assert response.status == 401
    async with session.get("/ztfm.tar.gz") as response:
        assert await response.read() == b"first"
        assert response.headers["Content-Type"] == MEDIA_TYPE
    for path in ("/site.tar.gz", "/opa-token", "/ztfm"):
        async with session.get(path) as response:
            assert response.status == 404


async def test_what_one_has_is_not_sent_again_and_each_layer_has_its_own(
    publisher: BundlePublisher, session: aiohttp.ClientSession
) -> None:
    publisher.offer("base", b"first")
    publisher.offer("site", b"of the site")
    async with session.get("/ztfm.tar.gz") as response:
        etag = response.headers["ETag"]
    async with session.get("/ztfm.tar.gz", headers={"If-None-Match": f'"older", {etag}'}) as response:
        assert response.status == 304
        assert response.headers["ETag"] == etag
        assert response.headers["Content-Type"] == MEDIA_TYPE
    async with session.get("/site.tar.gz", headers={"If-None-Match": etag}) as response:
        assert await response.read() == b"of the site"


async def test_a_request_is_held_until_there_is_something_new(
    publisher: BundlePublisher, session: aiohttp.ClientSession
) -> None:
    publisher.offer("base", b"first")
    async with session.get("/ztfm.tar.gz", headers={"Prefer": LONG}) as response:
        etag = response.headers["ETag"]
    held = {"Prefer": LONG, "If-None-Match": etag}

    async def wait() -> bytes:
        async with session.get("/ztfm.tar.gz", headers=held) as response:
            return await response.read()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.1)
    publisher.offer("site", b"another layer")
    publisher.offer("base", b"first")
    await asyncio.sleep(0.1)
    assert not waiting.done()
    publisher.offer("base", b"second")
    assert await asyncio.wait_for(waiting, 10.0) == b"second"


async def test_what_is_not_there_yet_is_waited_for_too(
    publisher: BundlePublisher, session: aiohttp.ClientSession
) -> None:
    asyncio.get_running_loop().call_later(0.1, publisher.offer, "tenant", b"late")
    async with session.get("/tenant.tar.gz", headers={"Prefer": LONG}) as response:
        assert await response.read() == b"late"


@pytest.mark.parametrize(("prefer", "status"), [("wait=1", 304), ("modes=snapshot", 304), ("wait=x", 304)])
async def test_whoever_waited_long_enough_is_told_that_nothing_is_new(
    publisher: BundlePublisher, session: aiohttp.ClientSession, prefer: str, status: int
) -> None:
    publisher.offer("base", b"first")
    async with session.get("/ztfm.tar.gz") as response:
        etag = response.headers["ETag"]
    async with session.get("/ztfm.tar.gz", headers={"Prefer": prefer, "If-None-Match": etag}) as response:
        assert response.status == status


async def test_stopping_lets_nobody_wait(publisher: BundlePublisher, session: aiohttp.ClientSession) -> None:
    async def wait() -> int:
        async with session.get("/ztfm.tar.gz", headers={"Prefer": LONG}) as response:
            return response.status

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.1)
    await asyncio.wait_for(publisher.stop(), 10.0)
    assert await asyncio.wait_for(waiting, 10.0) == 404
