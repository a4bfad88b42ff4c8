"""Followers of changes: told once of each kind, by one look however many they are, and let go in time."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from controlplane.contracts.changes import CHANGES, ChangeKind
from controlplane.decisions import changes
from controlplane.decisions.changes import MAX_PER_CALLER, ChangeFeed, Follower, TooManyFollowers
from controlplane.storage import StoreUnavailable
from controlplane.storage.changes import Marks

NOW = 1_767_225_600.0
Kinds = tuple[ChangeKind, ...]


@dataclass
class World:
    """A stand-in for the store and the clock: marks that a test moves by hand."""

    marked: dict[ChangeKind, int] = field(default_factory=lambda: {kind: 0 for kind in CHANGES if kind != "decisions"})
    place: int = -1
    is_other: bool = True
    looks: int = 0
    is_down: bool = False
    ended: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    asked: list[frozenset[str]] = field(default_factory=list)
    now: float = NOW
    counted: list[int] = field(default_factory=list)
    told: list[ChangeKind] = field(default_factory=list)

    async def marks(self) -> Marks:
        self.looks += 1
        if self.is_down:
            raise StoreUnavailable("look", "here", "it is down")
        return Marks({kind: (mark,) for kind, mark in self.marked.items()}, self.place)

    async def decided(self, since: int, until: int) -> bool:
        assert since < until
        return self.is_other

    async def holding(self, digests: Collection[str], now: float) -> frozenset[str]:
        assert now == self.now
        self.asked.append(frozenset(digests))
        return frozenset(digests) - self.gone

    def following(self, followers: int) -> None:
        self.counted.append(followers)

    def changed(self, kind: ChangeKind) -> None:
        self.told.append(kind)

    def feed(self, most: int = 100) -> ChangeFeed:
        return ChangeFeed(self, self, lambda caller, _since: caller in self.ended, lambda: self.now, self, most)


@pytest.fixture
def world() -> World:
    return World()


def follower(caller: str = "op-1", **stated: object) -> Follower:
    return Follower(caller, NOW, **stated)  # type: ignore[arg-type]


async def begun(feed: ChangeFeed, one: Follower, *, resumes: bool = False) -> AsyncGenerator[Kinds, None]:
    """Return the changes of a follower from whom on nothing is missed."""
    following = feed.follow(one, resumes=resumes)
    assert await anext(following) == ()
    return following


async def test_a_follower_is_told_of_each_kind_that_changed_in_order(world: World) -> None:
    feed = world.feed()
    async with aclosing(await begun(feed, follower())) as following:
        world.marked["rollbacks"] += 1
        world.marked["devices"] += 1
        world.place += 1
        await feed.look()
        assert await anext(following) == ("devices", "decisions", "rollbacks")
        assert world.told == ["devices", "decisions", "rollbacks"]
        await feed.look()
        world.marked["rounds"] += 1
        await feed.look()
        assert await anext(following) == ("rounds",)
    assert world.counted == [1, 0]


async def test_decisions_that_do_not_count_are_not_told_of(world: World) -> None:
    feed, world.is_other = world.feed(), False
    async with aclosing(await begun(feed, follower())) as following:
        world.place += 1
        await feed.look()
        world.marked["policies"] += 1
        await feed.look()
        assert await anext(following) == ("policies",)


async def test_however_slow_a_follower_is_it_is_told_once_of_each_kind(world: World) -> None:
    feed, one = world.feed(), follower()
    async with aclosing(await begun(feed, one)) as following:
        for _ in range(1000):
            for kind in world.marked:
                world.marked[kind] += 1
            world.place += 1
            await feed.look()
        assert len(one.pending) == len(CHANGES)
        assert await anext(following) == CHANGES
        assert one.pending == set()


async def test_a_look_serves_all_and_where_nobody_follows_there_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "SPREAD_FOLLOWERS", 1e9)
    feed = world.feed(most=1000)
    await feed.look()
    assert world.looks == 0
    followers = [await begun(feed, follower(f"op-{number}")) for number in range(200)]
    assert world.looks == 1
    world.marked["rounds"] += 1
    await feed.look()
    assert world.looks == 2
    assert await asyncio.gather(*map(anext, followers)) == [("rounds",)] * 200
    for one in followers:
        await one.aclose()
    await feed.look()
    assert world.looks == 2


async def test_what_changed_while_nobody_followed_is_told_to_whoever_resumes_alone(world: World) -> None:
    feed = world.feed()
    await (await begun(feed, follower())).aclose()
    await feed.look()
    world.marked["devices"] += 1
    newcomer, resuming = await begun(feed, follower()), await begun(feed, follower(), resumes=True)
    await feed.look()
    assert await anext(resuming) == CHANGES
    world.marked["rounds"] += 1
    await feed.look()
    assert await anext(newcomer) == ("rounds",)
    await newcomer.aclose()
    await resuming.aclose()


async def test_what_changed_while_the_store_was_down_is_told_when_it_is_back(world: World) -> None:
    feed = world.feed()
    async with aclosing(await begun(feed, follower())) as following:
        world.is_down = True
        world.marked["devices"] += 1
        with pytest.raises(StoreUnavailable):
            await feed.look()
        world.is_down = False
        await feed.look()
        assert await anext(following) == ("devices",)


async def test_nobody_is_let_in_who_could_not_be_told(world: World) -> None:
    feed, world.is_down = world.feed(), True
    with pytest.raises(StoreUnavailable):
        await begun(feed, follower())
    assert world.counted == [1, 0]


async def test_there_is_room_for_so_many_and_so_many_of_each_caller(world: World) -> None:
    feed = world.feed(most=MAX_PER_CALLER + 1)
    own = [await begun(feed, follower()) for _ in range(MAX_PER_CALLER)]
    with pytest.raises(TooManyFollowers):
        await begun(feed, follower())
    other = await begun(feed, follower("op-2"))
    with pytest.raises(TooManyFollowers):
        await begun(feed, follower("op-3"))
    for one in (*own, other):
        await one.aclose()
    await (await begun(feed, follower())).aclose()
    assert world.counted[-1] == 0


async def ends(following: AsyncGenerator[Kinds, None]) -> bool:
    """Whether a follower was let go, and told nothing more."""
    return await anext(following, None) is None


async def test_a_subject_that_ended_is_let_go_before_it_is_told_anything_and_not_let_in_again(world: World) -> None:
    feed = world.feed()
    gone, stays = await begun(feed, follower()), await begun(feed, follower("op-2"))
    world.ended.add("op-1")
    world.marked["devices"] += 1
    await feed.look()
    assert await ends(gone)
    assert await anext(stays) == ("devices",)
    with pytest.raises(TooManyFollowers):
        await begun(feed, follower())
    await stays.aclose()


async def test_a_person_is_let_go_when_their_token_has_expired(world: World) -> None:
    feed = world.feed()
    following = await begun(feed, follower(until=NOW + 10.0))
    world.now = NOW + 9.0
    await feed.look()
    world.marked["rounds"] += 1
    await feed.look()
    assert await anext(following) == ("rounds",)
    world.now = NOW + 10.0
    await feed.look()
    assert await ends(following)


async def test_all_that_follow_by_a_session_are_let_go_with_it_and_nobody_else(world: World) -> None:
    feed = world.feed()
    by_it = [await begun(feed, follower(session="one")) for _ in range(2)]
    others = [await begun(feed, follower(session="two")), await begun(feed, follower())]
    world.gone.add("one")
    world.marked["devices"] += 1
    await feed.look()
    assert [await ends(one) for one in by_it] == [True, True]
    assert [await anext(one) for one in others] == [("devices",)] * 2
    assert world.asked == [frozenset({"one", "two"})]
    for one in others:
        await one.aclose()


async def test_a_sign_of_life_comes_where_nothing_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEEPALIVE_SECONDS", 0.001)
    feed = world.feed()
    async with aclosing(await begun(feed, follower())) as following:
        assert await anext(following) == ()


async def test_when_it_is_closed_everybody_is_let_go_and_nobody_let_in(world: World) -> None:
    feed = world.feed()
    following = await begun(feed, follower())
    feed.close()
    assert await ends(following)
    with pytest.raises(TooManyFollowers):
        await begun(feed, follower())
    assert world.counted == [1, 0]


async def test_it_looks_again_and_again_while_it_runs(world: World) -> None:
    feed, slept = world.feed(), asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        assert seconds == changes.POLL_SECONDS
        await slept.acquire()

    async with feed.running(sleep), aclosing(await begun(feed, follower())) as following:
        for _ in range(3):
            world.marked["rounds"] += 1
            slept.release()
            assert await anext(following) == ("rounds",)
