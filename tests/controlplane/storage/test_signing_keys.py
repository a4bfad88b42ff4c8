import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from controlplane.capabilities.errors import SealError
from controlplane.capabilities.keykeeping import KeyKeeper, Schedule
from controlplane.capabilities.keyring import RETIRED_SECONDS, KeyRing
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.events import Notice
from controlplane.contracts.keys import KeptKey, KeyChange
from controlplane.jose.keys import SigningKey
from controlplane.rotation import StoredNotices
from controlplane.storage import Store, StoreUnavailable
from tests.clocks import Clock

NOW = 1_767_225_600.0


def kept(signs_from: float = NOW) -> KeptKey:
    key = SigningKey.generate()
    return KeptKey(key.kid, key.public.x, key.public.y, b"\x00sealed\xff", NOW, signs_from)


def putting(*keys: KeptKey) -> Callable[[object], KeyChange]:
    return lambda _: KeyChange(put=keys)


def keeper(store: Store, clock: Clock, sealing_key: bytes = b"s" * 32) -> KeyKeeper:
    schedule = Schedule(86_400.0, 120.0)
    return KeyKeeper(store.signing_keys, Sealer(sealing_key), KeyRing(clock), clock, StoredNotices(clock), schedule)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_key_reads_back_as_it_was_kept_in_the_order_of_signing(store: Store) -> None:
    first, second = kept(NOW + 0.125), kept(NOW)
    assert await store.signing_keys.change(putting(first, second)) == [second, first]
    assert await store.signing_keys.all() == [second, first]


async def test_a_change_replaces_what_may_change_and_forgets(store: Store) -> None:
    first, second = kept(), kept()
    await store.signing_keys.change(putting(first, second))
    ended = replace(first, sealed=b"", signs_from=NOW + 1, withdrawn_at=NOW + 2)
    await store.signing_keys.change(lambda _: KeyChange(put=(ended,), forget=(second.kid,)))
    assert await store.signing_keys.all() == [ended]


async def test_what_a_decision_raises_changes_nothing(store: Store) -> None:
    def _refuse(_: object) -> KeyChange:
        raise SealError("no")

    with pytest.raises(SealError):
        await store.signing_keys.change(_refuse)
    await store.signing_keys.change(putting(kept()))
    broken = KeyChange(put=(kept(), replace(kept(), kid=None)))  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable):
        await store.signing_keys.change(lambda _: broken)
    assert len(await store.signing_keys.all()) == 1


async def test_replicas_that_start_at_once_share_one_key(store: Store, replica: Store, clock: Clock) -> None:
    replicas = [keeper(side, clock) for side in [store, replica] * 4]
    await asyncio.gather(*(keys.open() for keys in replicas))
    assert len({keys.ring.current().kid for keys in replicas}) == 1
    assert len(await store.signing_keys.all()) == 1


async def test_replicas_that_rotate_at_once_agree_on_one_key(store: Store, replica: Store, clock: Clock) -> None:
    replicas = [keeper(side, clock) for side in [store, replica] * 4]
    await asyncio.gather(*(keys.open() for keys in replicas))
    following = await asyncio.gather(*(keys.rotate() for keys in replicas))
    assert len({item.kid for item in following}) == 1
    clock.now += 120
    assert {keys.ring.current().kid for keys in replicas} == {following[0].kid}


async def test_the_schedule_is_followed_once(store: Store, replica: Store, clock: Clock) -> None:
    replicas = [keeper(side, clock) for side in [store, replica] * 4]
    await asyncio.gather(*(keys.open() for keys in replicas))
    for rotations in (1, 2, 3):
        clock.now += 86_400.0 - 120.0
        await asyncio.gather(*(keys.refresh() for keys in replicas))
        assert len(await store.signing_keys.all()) == rotations + 1
        clock.now += 120.0 + RETIRED_SECONDS
        await asyncio.gather(*(keys.refresh() for keys in replicas))
        assert len({keys.ring.current().kid for keys in replicas}) == 1
    assert [bool(key.sealed) for key in await store.signing_keys.all()] == [False, False, False, True]


async def test_a_withdrawal_and_its_event_are_written_together_and_seen_by_the_other(
    store: Store, replica: Store, clock: Clock
) -> None:
    mine, other = keeper(store, clock), keeper(replica, clock)
    await mine.open()
    await other.open()
    bad = other.ring.current().kid
    await mine.withdraw(bad, "laptop stolen")
    await other.refresh()
    assert other.ring.current().kid == mine.ring.current().kid != bad
    assert bad not in {key.kid for key in other.ring.verifying()}
    (event,) = await replica.events.after(0)
    assert b"credential-change" in event[2]
    assert bad.encode() in event[2]
    assert b"laptop stolen" in event[2]
    assert [(item.kind, item.value) for item in await replica.revocations.live(clock(), {"key"})] == [("key", bad)]


async def test_two_that_withdraw_at_once_leave_one_fresh_key(store: Store, replica: Store, clock: Clock) -> None:
    mine, other = keeper(store, clock), keeper(replica, clock)
    await mine.open()
    await other.open()
    bad = mine.ring.current().kid
    clock.now += 1
    await asyncio.gather(mine.withdraw(bad, "a"), other.withdraw(bad, "b"))
    await mine.refresh()
    await other.refresh()
    assert [item.state for item in mine.ring.standings()] == ["withdrawn", "signing"]
    assert mine.ring.standings() == other.ring.standings()


async def test_an_event_that_cannot_be_written_leaves_the_key(store: Store, clock: Clock) -> None:
    class Unwritable(StoredNotices):
        def key_notice(self, kid: str, *, reason: str) -> Notice:
            notice = super().key_notice(kid, reason=reason)
            void = notice.revocations[0].model_copy(update={"kind": None})
            return notice.model_copy(update={"revocations": [void]})

    keys = keeper(store, clock)
    keys._announcer = Unwritable(clock)
    await keys.open()
    kid = keys.ring.current().kid
    with pytest.raises(StoreUnavailable):
        await keys.withdraw(kid, "test")
    await keys.refresh()
    assert keys.ring.current().kid == kid
    assert await store.events.after(0) == []


async def test_a_foreign_sealing_key_on_another_replica_changes_nothing(
    store: Store, replica: Store, clock: Clock
) -> None:
    mine, foreign = keeper(store, clock), keeper(replica, clock, b"x" * 32)
    await mine.open()
    before = await store.signing_keys.all()
    for attempt in (foreign.open, foreign.rotate):
        with pytest.raises(SealError, match="does not open with this sealing key"):
            await attempt()
    assert await store.signing_keys.all() == before
