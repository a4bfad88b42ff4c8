import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.capabilities.broadcasting import (
    KEEPALIVE_SECONDS,
    MAX_PER_CALLER,
    QUEUE,
    REPLAYED_SECONDS,
    Message,
    TooManyListeners,
)
from controlplane.contracts.events import Notice
from controlplane.jose.keys import SigningKey
from tests.adapters.listening import until
from tests.controlplane.capabilities.announced import Replica, replicas
from tests.controlplane.capabilities.conftest import START, World


async def revoke(replica: Replica, *names: str) -> None:
    """Revoke what some subjects hold, and return when the replica has seen its own events."""
    for name in names:
        await replica.revoker.revoke_subject(name, reason="Lost.")
    newest = (await replica.store.events.bounds())[1]
    await until(lambda: replica.broadcast._newest >= newest)


async def take(messages: Any, count: int) -> list[Message]:
    async with asyncio.timeout(5.0):
        return [await anext(messages) for _ in range(count)]


def subjects(replica: Replica, messages: list[Message]) -> list[str]:
    return [replica.read(one).sub_id.id for one in messages if one.kind == "event"]  # type: ignore[union-attr]


async def test_a_listener_is_told_that_it_knows_everything_and_then_of_what_happens(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running(), aclosing(one.broadcast.follow("gw", None)) as messages:
        [first] = await take(messages, 1)
        assert (first.kind, one.read(first).events.verification.state) == ("keepalive", "0")  # type: ignore[union-attr]
        assert one.counting.listeners == 1
        await revoke(one, "dev-a")
        [event] = await take(messages, 1)
        assert subjects(one, [event]) == ["dev-a"]
        assert one.read(event).jti == f"set-{event.sequence}"
    assert one.counting.listeners == 0


async def test_what_another_replica_writes_is_pushed_too(tmp_path: Path) -> None:
    async with (
        replicas(tmp_path, 2) as (one, other),
        one.running(),
        other.running(),
        aclosing(other.broadcast.follow("gw", None)) as messages,
    ):
        await take(messages, 1)
        await revoke(one, "dev-a")
        assert subjects(other, await take(messages, 1)) == ["dev-a"]


async def test_whoever_resumes_gets_what_it_has_not_seen_once_and_in_order(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        await revoke(one, *(f"dev-{number}" for number in range(250)))
        newest = (await one.store.events.bounds())[1]
        async with aclosing(one.broadcast.follow("gw", newest - 240)) as messages:
            first = await anext(messages)
            await revoke(one, "dev-late")
            rest = [first, *await take(messages, 241)]
        assert [message.sequence for message in rest if message.kind == "event"] == list(
            range(newest - 239, newest + 2)
        )
        assert sum(message.kind == "keepalive" for message in rest) == 1


async def test_whoever_names_no_event_gets_those_that_can_still_matter(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        await revoke(one, "dev-old")
        one.clock.now += REPLAYED_SECONDS + 1
        await revoke(one, "dev-new")
        async with aclosing(one.broadcast.follow("gw", None)) as messages:
            found = await take(messages, 2)
            assert subjects(one, found) == ["dev-new"]
            assert found[1].kind == "keepalive"


@pytest.mark.parametrize("asked", [0, 10_000])
async def test_whoever_asks_for_what_is_not_kept_is_told_so_first(tmp_path: Path, asked: int) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        await revoke(one, "dev-a", "dev-b")
        one.clock.now += 3600.0
        await revoke(one, "dev-c")
        assert await one.store.events.purge(one.clock.now - 1) == 2
        async with aclosing(one.broadcast.follow("gw", asked)) as messages:
            found = await take(messages, 3)
        assert [message.kind for message in found] == ["reset", "event", "keepalive"]
        reset = one.read(found[0]).events.reset
        assert reset is not None
        assert reset.event_timestamp == one.clock.now


async def test_what_is_kept_needs_no_reset(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        await revoke(one, "dev-a", "dev-b", "dev-c")
        oldest = (await one.store.events.bounds())[0]
        for asked in (oldest - 1, oldest, oldest + 2):
            async with aclosing(one.broadcast.follow("gw", asked)) as messages:
                found = await take(messages, oldest + 3 - asked)
                assert [message.kind for message in found] == ["event"] * (oldest + 2 - asked) + ["keepalive"]


async def test_signs_of_life_come_while_nothing_happens_and_stop_when_the_store_is_away(tmp_path: Path) -> None:
    async with (
        replicas(tmp_path) as (one,),
        one.running(),
        aclosing(one.broadcast.follow("gw", None)) as messages,
    ):
        await take(messages, 1)
        for _ in range(3):
            one.timer.now += KEEPALIVE_SECONDS
            [alive] = await take(messages, 1)
            assert alive.kind == "keepalive"
        held = World().mint()[1]
        assert one.revoker.standing(held, "k") == "good"
        await one.store.close()
        await asyncio.sleep(0.3)
        waiting = asyncio.create_task(take(messages, 1))
        for _ in range(6):
            one.timer.now += KEEPALIVE_SECONDS
            await asyncio.sleep(0.25)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert one.revoker.standing(held, "k") == "unknown"


async def test_a_listener_that_is_too_slow_is_cut_off_others_are_not_and_it_resumes_without_loss(
    tmp_path: Path,
) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        slow, quick = one.broadcast.follow("slow", None), one.broadcast.follow("quick", None)
        async with aclosing(slow), aclosing(quick):
            await take(slow, 1)
            await take(quick, 1)
            received: list[Message] = []
            note = received.append

            async def listen() -> None:
                async for message in quick:
                    note(message)

            listening = asyncio.create_task(listen())
            names = [f"dev-{number}" for number in range(4 * QUEUE)]
            notice = one.revoker.status_notice(names, "quarantined", initiator="policy")
            await one.store.revocations.add(Notice(events=notice.events))
            one.wanted.set()
            await until(lambda: sum(message.kind == "event" for message in received) == len(names))
            assert one.counting.told["dropped"] == 1
            assert one.counting.listeners == 1
            with pytest.raises(StopAsyncIteration):
                await anext(slow)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        async with aclosing(one.broadcast.follow("slow", 0)) as again:
            assert len(subjects(one, await take(again, len(names)))) == len(names)


async def test_listeners_are_bounded_in_number_and_by_caller(tmp_path: Path) -> None:
    async with replicas(tmp_path, most=MAX_PER_CALLER + 1) as (one,), one.running():
        held = [one.broadcast.follow("gw", None) for _ in range(MAX_PER_CALLER)]
        for messages in held:
            await take(messages, 1)
        with pytest.raises(TooManyListeners):
            await anext(one.broadcast.follow("gw", None))
        other = one.broadcast.follow("other", None)
        await take(other, 1)
        with pytest.raises(TooManyListeners):
            await anext(one.broadcast.follow("third", None))
        await other.aclose()
        await held[0].aclose()
        await take(one.broadcast.follow("gw", None), 1)


async def test_a_listener_that_is_set_apart_itself_is_let_go(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        own, other = one.broadcast.follow("gw", None), one.broadcast.follow("other", None)
        async with aclosing(own), aclosing(other):
            await take(own, 1)
            await take(other, 1)
            await revoke(one, "gw")
            assert subjects(one, await take(other, 1)) == ["gw"]
            with pytest.raises(StopAsyncIteration):
                await anext(own)
            assert one.counting.told["dropped"] == 0


async def test_closing_lets_everybody_go_and_nobody_in(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running(), aclosing(one.broadcast.follow("gw", None)) as messages:
        await take(messages, 1)
        one.broadcast.close()
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        with pytest.raises(TooManyListeners):
            await anext(one.broadcast.follow("gw", None))


async def test_an_event_that_this_version_does_not_know_makes_everybody_distrust_what_was_issued_before(
    tmp_path: Path, world: World
) -> None:
    async with replicas(tmp_path) as (one,), one.running(), aclosing(one.broadcast.follow("gw", None)) as messages:
        await take(messages, 1)
        held = world.mint()[1]
        insert = text(f"INSERT INTO security_events (time, document) VALUES ({START}, '{{\"new\": 1}}')")
        await one.store._database.change("write", insert)
        [told] = await take(messages, 1)
        assert told.kind == "reset"
        assert told.sequence is not None
        assert one.revoker.standing(held, "k") == "unknown"
        await revoke(one, "dev-a")
        assert subjects(one, await take(messages, 1)) == ["dev-a"]


async def test_after_a_rotation_events_are_signed_with_the_new_key_also_old_ones(tmp_path: Path) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        await revoke(one, "dev-a")
        async with aclosing(one.broadcast.follow("gw", 0)) as messages:
            before = (await take(messages, 2))[0]
        assert subjects(one, [before]) == ["dev-a"]
        one.key = SigningKey.generate()
        async with aclosing(one.broadcast.follow("gw", 0)) as messages:
            after = (await take(messages, 2))[0]
        assert subjects(one, [after]) == ["dev-a"]
        assert after.token != before.token
