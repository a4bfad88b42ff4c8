"""A feed at a real control plane: revocations arrive, nothing is lost, and silence is noticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.client import ControlPlane as Client
from adapters.client import SyncControlPlane
from adapters.feed import RevocationFeed
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.events import REACH_SECONDS
from controlplane.jose.keys import jwks
from tests.adapters.listening import capability_of, listening, tamper, until
from tests.support import Caller, ControlPlane, running, wait_until

WITHIN = 3.0
"""Generous: the promise is a second, and the machine may be busy."""


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture
def watcher(plane: ControlPlane) -> Caller:
    return plane.enrol("aggregator")


@pytest.fixture
async def feed(plane: ControlPlane, watcher: Caller) -> AsyncIterator[RevocationFeed]:
    async with Client(plane.url, watcher.key) as client, RevocationFeed(client) as found:
        assert await found.ready(WITHIN)
        yield found


async def revoke(plane: ControlPlane, claims: object) -> None:
    work = plane.services.revocation.revoker.revoke_capability(
        claims.jti,
        claims.exp,
        claims.decision_id,
        claims.iat,
        reason="Lost.",  # type: ignore[attr-defined]
    )
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, plane.loop))


async def set_status(plane: ControlPlane, device: Caller, status: str) -> None:
    work = plane.services.registry.set_status(device.id, status)  # type: ignore[attr-defined]
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, plane.loop))


async def test_a_revoked_capability_is_refused_and_another_one_of_the_same_device_is_not(
    plane: ControlPlane, feed: RevocationFeed, device: Caller
) -> None:
    _, doomed, kid = capability_of(plane, device)
    _, other, _ = capability_of(plane, device)
    assert feed.standing(doomed, kid) == "good"
    await revoke(plane, doomed)
    await until(lambda: feed.standing(doomed, kid) == "revoked", WITHIN)
    assert feed.standing(other, kid) == "good"


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
async def test_a_device_that_is_set_apart_holds_nothing_any_more(
    plane: ControlPlane, feed: RevocationFeed, device: Caller, status: str
) -> None:
    _, held, kid = capability_of(plane, device)
    await set_status(plane, device, status)
    await until(lambda: feed.standing(held, kid) == "revoked", WITHIN)
    assert capability_of(plane, plane.enrol("consumer"))[1].sub != device.id


async def test_what_a_released_device_is_given_holds_again(
    plane: ControlPlane, feed: RevocationFeed, device: Caller
) -> None:
    _, before, kid = capability_of(plane, device)
    await set_status(plane, device, "quarantined")
    await set_status(plane, device, "active")
    await until(lambda: feed.standing(before, kid) == "revoked", WITHIN)
    later = before.model_copy(update={"iat": before.iat + 3.0, "jti": "cap-later"})
    assert feed.standing(later, kid) == "good"


async def test_a_feed_that_was_never_connected_knows_nothing(plane: ControlPlane, device: Caller) -> None:
    _, held, kid = capability_of(plane, device)
    async with Client("http://127.0.0.1:9", device.key, timeout_seconds=0.5) as away, RevocationFeed(away) as feed:
        assert not await feed.ready(0.2)
        assert feed.standing(held, kid) == "unknown"


async def test_whoever_policy_does_not_let_follow_the_events_hears_none(plane: ControlPlane, device: Caller) -> None:
    async with Client(plane.url, device.key) as client, RevocationFeed(client) as feed:
        assert not await feed.ready(0.7)
        assert not feed.is_current


async def test_after_a_cut_nothing_is_lost(plane: ControlPlane, watcher: Caller, device: Caller) -> None:
    held = [capability_of(plane, device) for _ in range(5)]
    async with listening(plane.url, watcher.key) as (relay, feed):
        before = feed.events["session-revoked"]
        await revoke(plane, held[0][1])
        await until(lambda: feed.standing(held[0][1], held[0][2]) == "revoked", WITHIN)
        seen = feed.last_event_id
        relay.is_open = False
        relay.cut()
        for _, claims, _ in held[1:]:
            await revoke(plane, claims)
        relay.is_open = True
        for _, claims, kid in held[1:]:
            await until(lambda: feed.standing(claims, kid) == "revoked", 2 * WITHIN)  # noqa: B023
        assert feed.last_event_id == (seen or 0) + 4
        assert feed.events["session-revoked"] == before + 5
        assert not feed.ignored


async def test_silence_that_lasts_too_long_refuses_everything_until_there_is_news(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    _, held, kid = capability_of(plane, device)
    async with listening(plane.url, watcher.key, max_silence_seconds=3.0) as (relay, feed):
        assert feed.standing(held, kid) == "good"
        relay.flows.clear()
        took = await until(lambda: feed.standing(held, kid) == "unknown", 8.0)
        assert took > 0.5
        relay.flows.set()
        relay.cut()
        await until(lambda: feed.standing(held, kid) == "good", 8.0)


async def test_an_altered_event_is_counted_not_taken_in_and_asked_for_again(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    _, held, kid = capability_of(plane, device)
    async with listening(plane.url, watcher.key) as (relay, feed):
        before = feed.last_event_id
        relay.alter = tamper
        await revoke(plane, held)
        await until(lambda: feed.ignored["bad_signature"] > 0, WITHIN)
        assert feed.last_event_id == before
        assert feed.standing(held, kid) == "good"
        relay.alter = lambda data: data
        await until(lambda: feed.standing(held, kid) == "revoked", 2 * WITHIN)


async def test_an_event_that_was_taken_out_is_missed_and_asked_for_again(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    _, held, kid = capability_of(plane, device)
    async with listening(plane.url, watcher.key) as (relay, feed):
        relay.alter = lambda data: data.replace(b"event: security-event", b"event: security-ev_nt")
        await revoke(plane, held)
        await until(lambda: feed.ignored["missed"] > 0, 2 * WITHIN)
        relay.alter = lambda data: data
        await until(lambda: feed.standing(held, kid) == "revoked", 2 * WITHIN)


async def test_an_event_that_was_taken_out_before_another_one_hides_nothing(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    _, doomed, kid = capability_of(plane, device)
    async with listening(plane.url, watcher.key) as (relay, feed):
        seen = feed.last_event_id or 0
        named = b"id: %d\nevent: security-ev" % (seen + 1)
        relay.alter = lambda data: data.replace(named + b"e", named + b"_")
        await revoke(plane, doomed)
        await asyncio.sleep(0.5)
        assert feed.standing(doomed, kid) == "good", "the relay has to hold it back"
        await revoke(plane, capability_of(plane, device)[1])
        await until(lambda: feed.last_event_id == seen + 2, WITHIN)
        assert feed.standing(doomed, kid) == "unknown"
        assert feed.ignored["missed"] == 1
        await asyncio.sleep(REACH_SECONDS)
        assert feed.standing(capability_of(plane, device)[1], kid) == "good"


@pytest.mark.parametrize("number", [b"id: 999999999\n", b""])
async def test_a_reset_with_a_number_that_nobody_signed_is_not_taken_in(
    plane: ControlPlane, watcher: Caller, device: Caller, number: bytes
) -> None:
    async with listening(plane.url, watcher.key) as (relay, feed):
        seen = feed.last_event_id
        # Genuine: whoever may listen gets one, by asking to resume from what there never was.
        reset = plane.services.revocation.broadcast._signer.reset(plane.clock(), seen or 0).encode()
        relay.alter = lambda data: data + chunked(number + b"event: reset\ndata: " + reset + b"\n\n")
        await until(lambda: feed.ignored["wrong_sequence"] > 0, 3 * WITHIN)
        assert feed.last_event_id == seen
        assert not feed.events["reset"]


async def test_after_a_reset_nothing_can_be_left_out_either(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    async with listening(plane.url, watcher.key) as (relay, feed):
        seen = feed.last_event_id or 0
        reset = plane.services.revocation.broadcast._signer.reset(plane.clock(), seen).encode()
        relay.alter = lambda data: (
            data + chunked(b"id: %d\nevent: reset\ndata: %s\n\n" % (seen, reset)) if b"keepalive" in data else data
        )
        await until(lambda: feed.events["reset"] > 0, 2 * WITHIN)
        relay.alter = lambda data: data.replace(b"event: security-event", b"event: security-ev_nt")
        _, doomed, kid = capability_of(plane, device)
        await until(lambda: feed.standing(doomed, kid) == "good", WITHIN)
        await revoke(plane, doomed)
        await until(lambda: feed.ignored["missed"] > 0, 2 * WITHIN)
        relay.alter = lambda data: data
        await until(lambda: feed.standing(doomed, kid) == "revoked", 2 * WITHIN)


async def test_an_event_that_comes_once_more_takes_nothing_back(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    _, first, kid = capability_of(plane, device)
    _, second, _ = capability_of(plane, device)
    kept: list[bytes] = []

    def remember(data: bytes) -> bytes:
        kept.extend([data] if b"event: security-event" in data else [])
        return data

    async with listening(plane.url, watcher.key) as (relay, feed):
        relay.alter = remember
        for doomed in (first, second):
            await revoke(plane, doomed)
            await until(lambda: feed.standing(doomed, kid) == "revoked", WITHIN)  # noqa: B023
        newest = feed.last_event_id
        relay.alter = lambda data: data + kept[0] if b"event: keepalive" in data else data
        before = feed.events["keepalive"]
        await until(lambda: feed.events["keepalive"] >= before + 2, 3 * WITHIN)
        assert feed.last_event_id == newest
        assert not feed.ignored


def chunked(data: bytes) -> bytes:
    """Return a piece of a body as HTTP sends it (RFC 9112 section 7.1)."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_client_that_blocks_follows_revocations_in_its_own_thread(
    plane: ControlPlane, watcher: Caller, device: Caller
) -> None:
    token, claims, kid = capability_of(plane, device)
    with SyncControlPlane(plane.url, watcher.key) as client:
        feed = client.follow_revocations(WITHIN)
        keys = jwks(plane.services.capabilities.keys.ring.verifying())
        verifier = CapabilityVerifier(keys, plane.url, "aggregator-1", plane.clock, standings=feed)
        assert not isinstance(verifier.inspect(token, action="inference"), Refused)
        plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
        wait_until(lambda: feed.standing(claims, kid) == "revoked", WITHIN)
        verdict = verifier.inspect(token, action="inference")
        assert isinstance(verdict, Refused)
        assert verdict.cause == "revoked"
    verdict = verifier.inspect(token, action="inference")
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revoked"


async def test_what_a_withdrawn_key_signed_is_refused_and_the_event_that_says_so_is_signed_with_the_next_one() -> None:
    with running() as own:
        device, gateway = own.enrol("consumer"), own.enrol("gateway")
        _, held, kid = capability_of(own, device)
        async with Client(own.url, gateway.key) as client, RevocationFeed(client) as feed:
            assert await feed.ready(WITHIN)
            assert feed.standing(held, kid) == "good"
            work = own.services.capabilities.keys.withdraw(kid, "Leaked.")
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, own.loop))
            await until(lambda: feed.standing(held, kid) == "revoked", 2 * WITHIN)
            _, fresh, next_kid = capability_of(own, device)
            assert next_kid != kid
            assert feed.standing(fresh, next_kid) == "good"
            assert feed.events["credential-change"] == 1
            assert feed.ignored["bad_signature"] == 0
