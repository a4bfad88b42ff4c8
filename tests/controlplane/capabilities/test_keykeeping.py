from dataclasses import replace
from functools import partial

import pytest

from controlplane.capabilities.errors import NoSigningKey, SealError
from controlplane.capabilities.keykeeping import KEPT_PAST_KEYS, KeyKeeper, Schedule
from controlplane.capabilities.keyring import RETIRED_SECONDS
from controlplane.jose.keys import SigningKey
from tests.clocks import Clock
from tests.controlplane.capabilities.keyrings import Announcements, MemoryKeys, keeper

START = 1_767_225_600.0
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryKeys:
    return MemoryKeys()


def states(keys: KeyKeeper) -> list[str]:
    return [item.state for item in keys.ring.standings()]


async def test_the_first_start_makes_a_key_that_signs_at_once(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    assert keys.examine() == "not read for 30 s"
    await keys.open()
    assert states(keys) == ["signing"]
    assert keys.examine() == "ok"
    kid = keys.ring.current().kid
    await keys.open()
    again = keeper(store, clock)
    await again.open()
    assert again.ring.current().kid == kid


async def test_what_is_kept_holds_no_private_key_in_the_clear(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    (kept,) = store.kept.values()
    pem = keys.ring.current().to_pem()
    assert b"PRIVATE" not in kept.sealed
    assert pem.splitlines()[1] not in kept.sealed


async def test_an_inherited_key_is_the_first_one_and_keeps_its_age(store: MemoryKeys, clock: Clock) -> None:
    inherited = SigningKey.generate()
    keys = keeper(store, clock)
    await keys.open(inherited, START - 5 * DAY)
    assert keys.ring.current().kid == inherited.kid
    assert keys.age_seconds() == 5 * DAY
    other = keeper(store, clock)
    await other.open(SigningKey.generate(), START)
    assert other.ring.current().kid == inherited.kid


async def test_a_rotation_publishes_first_and_signs_after_the_overlap(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    first = keys.ring.current().kid
    following = await keys.rotate()
    assert (following.state, following.signs_from) == ("published", START + 120)
    assert [key.kid for key in keys.ring.verifying()] == [first, following.kid]
    assert (await keys.rotate()).kid == following.kid
    clock.now += 119.9
    assert keys.ring.current().kid == first
    clock.now += 0.1
    assert keys.ring.current().kid == following.kid
    clock.now += RETIRED_SECONDS
    assert [key.kid for key in keys.ring.verifying()] == [following.kid]


async def test_the_schedule_is_followed_once_by_whichever_replica_comes_first(store: MemoryKeys, clock: Clock) -> None:
    replicas = [keeper(store, clock, schedule=Schedule(DAY, 120)) for _ in range(3)]
    for keys in replicas:
        await keys.open()
    clock.now += DAY - 120.1
    for keys in replicas:
        await keys.refresh()
        assert states(keys) == ["signing"]
    clock.now += 0.1
    for keys in reversed(replicas):
        await keys.refresh()
        await keys.refresh()
        assert states(keys) == ["signing", "published"]
    clock.now += 120
    assert len({keys.ring.current().kid for keys in replicas}) == 1
    assert [keys.age_seconds() for keys in replicas] == [0.0, 0.0, 0.0]


async def test_a_private_part_whose_time_is_over_is_forgotten(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    first = keys.ring.current().kid
    await keys.rotate()
    clock.now += 120 + RETIRED_SECONDS - 1
    await keys.refresh()
    assert store.kept[first].sealed
    clock.now += 1
    await keys.refresh()
    assert store.kept[first].sealed == b""
    assert states(keys) == ["gone", "signing"]
    assert keys.examine() == "ok"


async def test_past_keys_are_listed_up_to_a_bound(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    for _ in range(KEPT_PAST_KEYS + 5):
        clock.now += 1
        await keys.withdraw(keys.ring.current().kid, "test")
    await keys.refresh()
    assert states(keys) == ["withdrawn"] * KEPT_PAST_KEYS + ["signing"]


async def test_a_withdrawn_signing_key_is_followed_by_a_fresh_one_at_once(store: MemoryKeys, clock: Clock) -> None:
    told = Announcements()
    keys = keeper(store, clock, announcements=told)
    await keys.open()
    bad, waiting = keys.ring.current().kid, (await keys.rotate()).kid
    clock.now += 10
    withdrawn = await keys.withdraw(bad, "laptop stolen")
    assert withdrawn is not None
    assert withdrawn.state == "withdrawn"
    fresh = keys.ring.current().kid
    assert fresh not in {bad, waiting}
    assert [key.kid for key in keys.ring.verifying()] == [fresh]
    assert told.reasons == {bad: "laptop stolen", waiting: "laptop stolen"}
    assert sorted(told.pushed) == sorted([bad, waiting])
    assert not store.kept[bad].sealed
    clock.now += 100 * DAY
    assert keys.ring.current().kid == fresh


async def test_a_withdrawn_retired_key_leaves_the_one_that_signs(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    old, new = keys.ring.current().kid, (await keys.rotate()).kid
    clock.now += 130
    await keys.withdraw(old, "test")
    assert [key.kid for key in keys.ring.verifying()] == [new]
    assert keys.ring.current().kid == new


async def test_withdrawing_again_changes_nothing_and_tells_again(store: MemoryKeys, clock: Clock) -> None:
    told = Announcements()
    keys = keeper(store, clock, announcements=told)
    await keys.open()
    bad = keys.ring.current().kid
    first = await keys.withdraw(bad, "test")
    kept = dict(store.kept)
    clock.now += 5
    assert await keys.withdraw(bad, "test") == first
    assert store.kept == kept
    assert told.pushed == [bad, bad]


async def test_a_key_that_nobody_knows_is_not_withdrawn(store: MemoryKeys, clock: Clock) -> None:
    told = Announcements()
    keys = keeper(store, clock, announcements=told)
    await keys.open()
    assert await keys.withdraw("A" * 43, "test") is None
    assert told.pushed == []
    assert states(keys) == ["signing"]


async def test_followers_hear_of_every_other_set_of_keys_and_of_nothing_else(store: MemoryKeys, clock: Clock) -> None:
    keys, other = keeper(store, clock), keeper(store, clock)
    await keys.open()
    await other.open()
    heard: list[list[str]] = []
    keys.follow(lambda found: heard.append([key.kid for key in found]))
    first = other.ring.current().kid
    await keys.refresh()
    assert heard == [[first]]
    following = (await other.rotate()).kid
    await keys.refresh()
    await keys.refresh()
    assert heard[1:] == [[first, following]]
    await other.withdraw(first, "test")
    await keys.refresh()
    assert heard[2:] == [[other.ring.current().kid]]
    clock.now += DAY
    await keys.refresh()
    assert len(heard) == 3


async def test_a_foreign_sealing_key_opens_nothing_and_changes_nothing(store: MemoryKeys, clock: Clock) -> None:
    keys, foreign = keeper(store, clock), keeper(store, clock, sealing_key=b"x" * 32)
    await keys.open()
    await keys.rotate()
    kept, kid = dict(store.kept), keys.ring.current().kid
    waiting = (await keys.rotate()).kid
    for attempt in (foreign.open, foreign.rotate, partial(foreign.withdraw, waiting, "test")):
        with pytest.raises(SealError, match=r"restore the sealing key .*ztfm keys withdraw --all"):
            await attempt()
    assert store.kept == kept
    await foreign.refresh()
    assert foreign.examine() == "a key does not open with the sealing key"
    assert foreign.ring.verifying() == ()
    with pytest.raises(NoSigningKey):
        foreign.ring.current()
    assert keys.ring.current().kid == kid


async def test_a_lost_sealing_key_is_overcome_by_withdrawing_all(store: MemoryKeys, clock: Clock) -> None:
    keys, foreign = keeper(store, clock), keeper(store, clock, sealing_key=b"x" * 32)
    await keys.open()
    await keys.rotate()
    clock.now += 60
    withdrawn = await foreign.withdraw_all("lost")
    assert [item.state for item in withdrawn] == ["withdrawn", "withdrawn"]
    assert foreign.examine() == "ok"
    assert [key.kid for key in foreign.ring.verifying()] == [foreign.ring.current().kid]


async def test_a_row_that_the_sealing_key_did_not_write_is_never_trusted(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    kid, mine = keys.ring.current().kid, SigningKey.generate()
    attacks = {
        "of another": replace(store.kept[kid], kid=mine.kid, x=mine.public.x, y=mine.public.y),
        "in the clear": replace(store.kept[kid], kid=mine.kid, x=mine.public.x, y=mine.public.y, sealed=mine.to_pem()),
        "empty": replace(store.kept[kid], kid=mine.kid, x=mine.public.x, y=mine.public.y, sealed=b""),
    }
    for row in attacks.values():
        store.kept[mine.kid] = row
        await keys.refresh()
        assert keys.examine() == "a key does not open with the sealing key"
        assert mine.kid not in {key.kid for key in keys.ring.verifying()}


async def test_a_damaged_key_may_be_withdrawn_by_itself(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    old = keys.ring.current().kid
    await keys.rotate()
    clock.now += 130
    store.kept[old] = replace(store.kept[old], sealed=store.kept[old].sealed[:-1] + b"!")
    again = keeper(store, clock)
    with pytest.raises(SealError, match=old):
        await again.open()
    await again.withdraw(old, "damaged")
    await again.open()
    assert again.examine() == "ok"


async def test_an_emptied_store_gets_a_new_key(store: MemoryKeys, clock: Clock) -> None:
    keys = keeper(store, clock)
    await keys.open()
    store.kept.clear()
    await keys.refresh()
    assert states(keys) == ["signing"]
