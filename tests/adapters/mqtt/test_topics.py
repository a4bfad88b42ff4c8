"""Topics as the broker itself has them from policy: who has which, and how fast they are gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.enrolment import load_identity, load_key
from adapters.guard import Member
from adapters.mqtt.certified import Certified
from adapters.mqtt.connecting import NOT_AUTHORIZED, Address
from adapters.mqtt.dynamic import DynamicSecurity
from adapters.mqtt.envelope import properties_of
from adapters.mqtt.keeper import TopicKeeper
from adapters.mqtt.link import Link
from adapters.mqtt.topics import from_topic, job_topic, to_topic, uses_of_aggregator, uses_of_device
from tests.adapters.conftest import AUDIENCE
from tests.adapters.listening import Relay, Through, relayed, until
from tests.adapters.mqtt.jobs import Kept
from tests.support import ControlPlane, wait_until

Enrol = Callable[..., Member]


@asynccontextmanager
async def keeper_of(
    kept: Kept, aggregator: str, listed: list[str], silence: float = 10.0
) -> AsyncIterator[tuple[TopicKeeper, Relay]]:
    """Keep the topics of these, by way of a relay to the control plane."""
    identity, key = load_identity(kept.keeper), load_key(kept.keeper)
    with Member.open(kept.keeper) as gateway:
        certified = Certified(key, gateway.plane, kept.broker.authority)
        link = Link(kept.broker.address, identity.id, certified.context, lambda message: security.arrived(message))
        security = DynamicSecurity(link, identity.id)
        link.start()
        try:
            async with AsyncExitStack() as stack:
                relay = await stack.enter_async_context(relayed(identity.url))
                plane = await stack.enter_async_context(Through(identity.url, key, f"127.0.0.1:{relay.port}"))
                keeper = TopicKeeper(
                    plane,
                    security,
                    audience=AUDIENCE,
                    aggregator=aggregator,
                    listed=listed,
                    max_silence_seconds=silence,
                )
                yield await stack.enter_async_context(keeper), relay
        finally:
            await asyncio.to_thread(link.close)


def outcome(link: Link, topic: str) -> int:
    """Publish, and return what the broker answers."""
    number = link.publish(topic, b"x", properties_of({}))
    assert number is not None
    assert link.wait(lambda: link.outcome(number) is not None, 10), link.last_words
    return link.outcome(number) or 0


def has_topics(link: Link) -> bool:
    link.tend()
    return link.has_topics


async def test_a_device_has_its_own_topics_and_the_broker_refuses_it_all_others(kept: Kept, enrol: Enrol) -> None:
    one, other, consumer, aggregator = enrol("trainer"), enrol("trainer"), enrol("consumer"), enrol("aggregator")
    listed = [one.id, other.id, consumer.id]
    async with keeper_of(kept, aggregator.id, listed) as (keeper, _):
        await until(lambda: bool(keeper.holds(one.id) and keeper.holds(other.id)), what="topics were given")
        assert keeper.holds(one.id) == frozenset(uses_of_device(AUDIENCE, one.id))
        assert keeper.holds(aggregator.id) == frozenset(uses_of_aggregator(AUDIENCE))
        assert keeper.holds(consumer.id) == frozenset()
        with kept.link(one) as link, kept.link(consumer) as left_out:
            link.subscribe(to_topic(AUDIENCE, one.id), job_topic(AUDIENCE))
            await asyncio.to_thread(wait_until, lambda: has_topics(link), 10)
            assert await asyncio.to_thread(outcome, link, from_topic(AUDIENCE, one.id)) < 0x80
            for topic in (from_topic(AUDIENCE, other.id), to_topic(AUDIENCE, other.id), job_topic(AUDIENCE)):
                assert await asyncio.to_thread(outcome, link, topic) == NOT_AUTHORIZED
            for topic in (to_topic(AUDIENCE, other.id), to_topic(AUDIENCE, "+"), "#", from_topic(AUDIENCE, "+")):
                link.subscribe(topic)
                assert not await asyncio.to_thread(link.wait, lambda: link.has_topics, 0.3), topic
                link._wanted.pop(topic)
            assert await asyncio.to_thread(outcome, left_out, from_topic(AUDIENCE, consumer.id)) == NOT_AUTHORIZED
            assert await asyncio.to_thread(outcome, left_out, "$CONTROL/dynamic-security/v1") == NOT_AUTHORIZED
    # The keeper is gone, and with it all that it gave.
    with kept.link(one) as link:
        assert await asyncio.to_thread(outcome, link, from_topic(AUDIENCE, one.id)) == NOT_AUTHORIZED


async def test_a_device_that_is_set_apart_loses_its_topics_within_a_moment_and_gets_them_back(
    kept: Kept, enrol: Enrol
) -> None:
    device, aggregator, chief = enrol("trainer"), enrol("aggregator"), enrol("administrator")
    seen: list[Any] = []
    async with keeper_of(kept, aggregator.id, [device.id]) as (keeper, _):
        await until(lambda: bool(keeper.holds(device.id)))
        with kept.link(device, seen.append) as link, kept.link(aggregator) as speaking:
            link.subscribe(to_topic(AUDIENCE, device.id))
            await asyncio.to_thread(wait_until, lambda: has_topics(link), 10)
            assert await asyncio.to_thread(outcome, speaking, to_topic(AUDIENCE, device.id)) == 0
            await until(lambda: len(seen) == 1)
            before, began = link.connections, time.monotonic()
            await asyncio.to_thread(chief.plane.set_status, device.id, "quarantined", "A test.")
            await until(lambda: not link.is_connected or link.connections > before, 5.0, "the connection was cut")
            assert time.monotonic() - began < 3.0
            # Its certificate still holds, so that it may connect; there is nothing there for it.
            await asyncio.to_thread(wait_until, lambda: link.is_connected, 10)
            assert not link.has_topics
            assert await asyncio.to_thread(outcome, link, from_topic(AUDIENCE, device.id)) == NOT_AUTHORIZED
            await asyncio.to_thread(outcome, speaking, to_topic(AUDIENCE, device.id))
            await asyncio.sleep(0.5)
            assert len(seen) == 1
            await asyncio.to_thread(chief.plane.set_status, device.id, "active", "The test is over.")
            await asyncio.to_thread(wait_until, lambda: has_topics(link), 15)
    assert keeper.counts["withdrawn"] >= 1


async def test_without_word_from_the_control_plane_nobody_has_a_topic(kept: Kept, enrol: Enrol) -> None:
    device, aggregator = enrol("trainer"), enrol("aggregator")
    async with keeper_of(kept, aggregator.id, [device.id], silence=2.0) as (keeper, relay):
        await until(lambda: bool(keeper.holds(device.id)))
        relay.is_open = False
        relay.cut()
        await until(lambda: not keeper.holds(device.id) and not keeper.holds(aggregator.id), 10.0)
        with kept.link(device) as link:
            assert await asyncio.to_thread(outcome, link, from_topic(AUDIENCE, device.id)) == NOT_AUTHORIZED
        relay.is_open = True
        await until(lambda: bool(keeper.holds(device.id)), 15.0, "topics came back")


async def test_whoever_is_not_listed_is_given_nothing(kept: Kept, enrol: Enrol) -> None:
    device, other, aggregator = enrol("trainer"), enrol("trainer"), enrol("aggregator")
    async with keeper_of(kept, aggregator.id, [device.id]) as (keeper, _):
        await until(lambda: bool(keeper.holds(device.id)))
        assert keeper.holds(other.id) == frozenset()
        with kept.link(other) as link:
            assert await asyncio.to_thread(outcome, link, from_topic(AUDIENCE, other.id)) == NOT_AUTHORIZED


def test_nobody_takes_another_ones_session_by_its_identifier(kept: Kept, enrol: Enrol) -> None:
    one, other = enrol("trainer"), enrol("trainer")
    certified = Certified(other.key, other.plane, kept.broker.authority)
    with kept.link(one) as link:
        intruding = Link(kept.broker.address, one.id, certified.context, lambda _message: None)
        intruding.start()
        try:
            assert intruding.wait(lambda: intruding.is_connected, 10)
            assert not link.wait(lambda: link.is_taken_over, 1.0)
            assert link.is_connected
        finally:
            intruding.close()


def test_without_a_certificate_of_the_control_planes_there_is_no_connection(
    kept: Kept, enrol: Enrol, plane: ControlPlane, tmp_path: Path
) -> None:
    one, chief = enrol("trainer"), enrol("administrator")
    chief.plane.set_status(one.id, "quarantined", "A test.")
    certified = Certified(one.key, one.plane, kept.broker.authority)
    link = Link(Address("127.0.0.1", kept.broker.address.port), one.id, certified.context, lambda _message: None)
    link.start()
    try:
        assert not link.wait(lambda: link.is_connected, 2.0)
        assert "no certificate" in link.last_words
    finally:
        link.close()


async def test_what_waits_for_a_device_when_it_is_set_apart_never_reaches_it(kept: Kept, enrol: Enrol) -> None:
    device, aggregator, chief = enrol("trainer"), enrol("aggregator"), enrol("administrator")
    # Its certificate holds for a day, whatever becomes of it.
    certified = Certified(device.key, device.plane, kept.broker.authority)
    seen: list[Any] = []
    async with keeper_of(kept, aggregator.id, [device.id]) as (keeper, _):
        await until(lambda: bool(keeper.holds(device.id) and keeper.holds(aggregator.id)))
        away = Link(kept.broker.address, device.id, certified.context, seen.append)
        away.subscribe(to_topic(AUDIENCE, device.id))
        away.start()
        await asyncio.to_thread(wait_until, lambda: has_topics(away), 10)
        await asyncio.to_thread(away.close)
        with kept.link(aggregator) as speaking:
            assert await asyncio.to_thread(outcome, speaking, to_topic(AUDIENCE, device.id)) == 0
        await asyncio.to_thread(chief.plane.set_status, device.id, "quarantined", "A test.")
        await until(lambda: not keeper.holds(device.id), 5.0)
        back = Link(kept.broker.address, device.id, certified.context, seen.append)
        back.start()
        try:
            assert await asyncio.to_thread(back.wait, lambda: back.is_connected, 10)
            assert not await asyncio.to_thread(back.wait, lambda: bool(seen), 1.0)
        finally:
            await asyncio.to_thread(back.close)
