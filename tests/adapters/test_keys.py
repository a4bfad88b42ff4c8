"""An enforcement point's keys, with a timer that the test moves: rotation, withdrawal, an issuer that is gone."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import Unreachable
from adapters.keys import KeyClock, KeySource
from adapters.wire import PublishedKeys, read_keys_document
from controlplane.jose.keys import SigningKey, jwks


class World:
    """An issuer, the hands of one timer, and what the enforcement point was given."""

    def __init__(self, fresh_seconds: float = 60.0) -> None:
        self.now = 1000.0
        self.keys = [SigningKey.generate()]
        self.fresh_seconds = fresh_seconds
        self.asked = 0
        self.given: list[Mapping[str, Any]] = []
        self.instead: Exception | dict[str, Any] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.source = KeySource(self.fetch, self.given.append, trusted_seconds=900.0, timer=lambda: self.now)

    async def fetch(self) -> Mapping[str, Any]:
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.instead, Exception):
            raise self.instead
        keys = PublishedKeys(jwks(self.keys) if self.instead is None else self.instead)
        keys.fresh_seconds = self.fresh_seconds
        return keys

    async def ready_at(self, seconds: float) -> bool:
        self.now = 1000.0 + seconds
        is_ready = await self.source.ready()
        for _ in range(5):
            await asyncio.sleep(0)
        return is_ready


async def test_a_set_is_used_for_as_long_as_its_issuer_says_and_then_fetched_beside_the_work() -> None:
    world = World(fresh_seconds=60.0)
    assert await world.ready_at(0)
    assert await world.ready_at(59.9)
    assert world.asked == 1
    world.gate.clear()
    assert await asyncio.wait_for(world.ready_at(60), 1), "nobody waits for a set that is only stale"
    assert world.asked == 2
    world.gate.set()
    await world.source.close()


@pytest.mark.parametrize(("stated", "asked_at_299"), [(1e6, 1), (0.0, 2)])
async def test_a_cache_life_is_bounded_from_both_sides(stated: float, asked_at_299: int) -> None:
    world = World(fresh_seconds=stated)
    await world.ready_at(0)
    await world.ready_at(4.9)
    assert world.asked == 1
    await world.ready_at(299)
    assert world.asked == asked_at_299
    await world.ready_at(305)
    assert world.asked == asked_at_299 + 1


async def test_a_rotation_is_met_by_the_first_capability_of_the_new_key() -> None:
    world = World()
    await world.ready_at(0)
    world.keys.append(SigningKey.generate())
    world.now += 10
    assert await world.source.renew()
    assert len(world.given[-1]["keys"]) == 2


async def test_unknown_keys_do_not_make_a_point_ask_more_often_than_it_would() -> None:
    world = World()
    await world.ready_at(0)
    world.now += 10
    assert await world.source.renew()
    assert [await world.source.renew() for _ in range(100)] == [False] * 100
    world.now += 5.1
    assert all(await asyncio.gather(*(world.source.renew() for _ in range(50))))
    assert world.asked == 3


async def test_a_withdrawn_key_is_gone_with_the_next_set() -> None:
    world = World()
    await world.ready_at(0)
    world.keys = [SigningKey.generate()]
    await world.ready_at(61)
    assert [key["kid"] for key in world.given[-1]["keys"]] == [world.keys[0].kid]


@pytest.mark.parametrize("instead", [Unreachable("gone"), {"keys": "none"}, {"keys": [{"kty": "EC", "d": "x"}]}])
async def test_the_last_good_set_is_trusted_for_the_stated_time_and_not_longer(instead: Any) -> None:
    world = World()
    assert await world.ready_at(0)
    world.instead = instead
    assert await world.ready_at(61)
    assert await world.ready_at(899)
    assert not await world.ready_at(900)
    assert not await world.ready_at(901), "nor while it may not ask again"
    assert len(world.given) == 1
    world.instead = None
    assert await world.ready_at(910), "it comes back by itself"


async def test_nothing_is_trusted_before_the_first_set() -> None:
    world = World()
    world.instead = Unreachable("gone")
    assert not await world.ready_at(0)
    assert not await world.ready_at(1)
    assert world.asked == 1
    world.instead = None
    assert await world.ready_at(6)


async def test_many_wait_for_one_first_set() -> None:
    world = World()
    assert all(await asyncio.gather(*(world.source.ready() for _ in range(20))))
    assert world.asked == 1


async def test_closing_ends_a_fetch() -> None:
    world = World()
    world.gate.clear()
    waiting = asyncio.create_task(world.source.ready())
    await asyncio.sleep(0)
    await world.source.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@given(st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=30))
def test_keys_are_never_trusted_longer_than_stated(steps: list[tuple[float, bool]]) -> None:
    clock, now, came = KeyClock(trusted_seconds=900.0), 0.0, None
    for pause, is_answered in steps:
        now += pause
        if clock.may_ask(now):
            clock.asked(now)
            if is_answered:
                clock.came(now, 60.0)
                came = now
        assert (clock.state(now) == "lost") == (came is None or now - came >= 900.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=60", 60.0),
        ("public, Max-Age=120, must-revalidate", 120.0),
        ('max-age="30"', 30.0),
        ("max-age=60, no-store", 0.0),
        ("no-cache", 0.0),
        ("", 0.0),
        ("max-age=-1", 0.0),
        ("max-age=soon", 0.0),
        ("max-age=" + "9" * 50, 3600.0),
    ],
)
def test_the_cache_life_is_read_and_bounded(header: str, seconds: float) -> None:
    assert read_keys_document(b'{"keys": []}', header).fresh_seconds == seconds
