"""Polled status lists at a real control plane."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.client import ControlPlane as Client
from adapters.polling import StatusListPoller
from controlplane.contracts.capability import Status, StatusListReference
from tests.adapters.listening import Through, capability_of, relayed, until
from tests.support import Caller, ControlPlane

WITHIN = 6.0


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture
def watcher(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@pytest.fixture
async def poller(plane: ControlPlane, watcher: Caller) -> AsyncIterator[StatusListPoller]:
    async with Client(plane.url, watcher.key) as client, StatusListPoller(client, interval_seconds=0.5) as found:
        assert await found.ready(WITHIN), found.ignored
        yield found


async def ask(plane: ControlPlane, work: Any) -> None:
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, plane.loop))


async def test_a_revoked_capability_is_refused_and_another_one_is_not(
    plane: ControlPlane, poller: StatusListPoller, device: Caller
) -> None:
    (_, doomed, kid), (_, other, _) = capability_of(plane, device), capability_of(plane, device)
    assert (poller.standing(doomed, kid), poller.standing(other, kid)) == ("good", "good")
    revoker = plane.services.revocation.revoker
    await ask(plane, revoker.revoke_capability(doomed.jti, doomed.exp, doomed.decision_id, doomed.iat, reason="Lost."))
    await until(lambda: poller.standing(doomed, kid) == "revoked", WITHIN)
    assert poller.standing(other, kid) == "good"
    assert not poller.ignored


async def test_what_stands_in_no_list_that_is_known_or_was_signed_with_no_published_key_is_not_good(
    plane: ControlPlane, poller: StatusListPoller, device: Caller
) -> None:
    _, held, kid = capability_of(plane, device)
    for uri, place in [("https://evil.example/v1/status-lists/1", 1), (held.status.status_list.uri, 2**31)]:
        foreign = Status(status_list=StatusListReference(idx=place, uri=uri))
        assert poller.standing(held.model_copy(update={"status": foreign}), kid) == "unknown"
    assert poller.standing(held, "k" * 43) == "revoked"


async def test_a_list_that_is_old_says_nothing_good(plane: ControlPlane, watcher: Caller, device: Caller) -> None:
    _, held, kid = capability_of(plane, device)
    async with (
        relayed(plane.url) as relay,
        Through(plane.url, watcher.key, f"127.0.0.1:{relay.port}", 1.0) as client,
        StatusListPoller(client, interval_seconds=0.3, max_silence_seconds=3.0) as poller,
    ):
        assert poller.standing(held, kid) == "unknown"
        assert await poller.ready(WITHIN)
        assert poller.standing(held, kid) == "good"
        relay.is_open = False
        relay.cut()
        await until(lambda: poller.standing(held, kid) == "unknown", WITHIN)
        relay.is_open = True
        await until(lambda: poller.standing(held, kid) == "good", WITHIN)


async def test_an_altered_list_is_counted_and_not_taken_in(plane: ControlPlane, watcher: Caller) -> None:
    async with (
        relayed(plane.url) as relay,
        Through(plane.url, watcher.key, f"127.0.0.1:{relay.port}") as client,
        StatusListPoller(client, interval_seconds=0.3) as poller,
    ):
        relay.alter = lambda data: data.replace(b"eyJpc3MiOi", b"eyJpc3MiOj") if b"statuslist" in data else data
        await until(lambda: poller.ignored["malformed"] > 0, WITHIN)
        assert not await poller.ready(0.1)


async def test_what_polls_no_more_knows_nothing(plane: ControlPlane, watcher: Caller, device: Caller) -> None:
    _, held, kid = capability_of(plane, device)
    async with Client(plane.url, watcher.key) as client:
        poller = StatusListPoller(client)
        assert await poller.start(WITHIN)
        assert poller.standing(held, kid) == "good"
        await poller.close()
        assert poller.standing(held, kid) == "unknown"
    with pytest.raises(ValueError, match="more often"):
        StatusListPoller(client, interval_seconds=10.0, max_silence_seconds=10.0)
