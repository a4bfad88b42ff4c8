"""Keep the signing keys: make, rotate and withdraw them, in a store that several replicas share."""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Protocol

from controlplane.capabilities.errors import NoSigningKey, SealError
from controlplane.capabilities.keyring import STALE_SECONDS, VERIFYING, KeyRing, stand
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.events import Notice
from controlplane.contracts.keys import KeptKey, KeyChange, KeyStanding
from controlplane.jose.keys import SigningKey

KEPT_PAST_KEYS = 256
"""Keys whose time is over that are still listed, without their private parts; older ones are forgotten."""

_PAST = frozenset({"gone", "withdrawn"})


class KeyStore(Protocol):
    """Where signing keys are kept."""

    async def all(self) -> list[KeptKey]:
        """Return every key."""
        ...

    async def change(self, decide: Callable[[Sequence[KeptKey]], KeyChange]) -> list[KeptKey]:
        """Write what ``decide`` makes of every key, all or nothing and nobody else between; return what there is."""
        ...


class Announcer(Protocol):
    """Tells enforcement points what holds no more."""

    def key_notice(self, kid: str, *, reason: str) -> Notice:
        """Return what is to be written in the transaction that withdraws a key."""
        ...

    def written(self, notice: Notice) -> None:
        """Have pushed what was written."""
        ...


@dataclass(frozen=True)
class Schedule:
    """When the signing key is replaced.

    Attributes:
        signs_seconds: how long a key signs.
        overlap_seconds: how long its successor is published before it signs: longer than anybody keeps a key set.
    """

    signs_seconds: float = 30 * 86_400.0
    overlap_seconds: float = 120.0


class KeyKeeper:
    """The signing keys of this replica, in step with the store.

    Every method may raise what the store raises. Whoever changes the ring must be able to open what is in it, so that
    nobody seals a key that the others cannot open: otherwise `SealError`, and nothing is written.

    Args:
        store: where they are kept.
        sealer: seals their private parts, each for its ``kid``.
        ring: follows every change.
        clock: Unix seconds.
        announcer: tells of withdrawals.
        schedule: when the signing key is replaced.
    """

    def __init__(
        self,
        store: KeyStore,
        sealer: Sealer,
        ring: KeyRing,
        clock: Callable[[], float],
        announcer: Announcer,
        schedule: Schedule | None = None,
    ) -> None:
        self.ring = ring
        self.schedule = schedule or Schedule()
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._announcer = announcer
        self._followers: list[Callable[[Sequence[SigningKey]], None]] = []
        self._opened: dict[tuple[str, bytes], SigningKey] = {}
        self._shut: tuple[str, ...] = ()
        # What was read before a change must not replace what was read after it.
        self._in_turn = asyncio.Lock()

    async def open(self, inherited: SigningKey | None = None, since: float | None = None) -> None:
        """Make the first key if there is none, and load the ring.

        Args:
            inherited: a key that signed before there was a ring; it becomes the first one.
            since: when it began to, Unix seconds.
        """

        def _begin(keys: Sequence[KeptKey]) -> KeyChange:
            if keys or inherited is None:
                return self._revived(keys)
            begun = min(self._clock(), self._clock() if since is None else since)
            return KeyChange(put=(self._seal(inherited, begun, begun),))

        await self._change(_begin)

    async def refresh(self) -> None:
        """Read the store, and do what is due: publish the next key, forget private parts whose time is over."""
        async with self._in_turn:
            kept = await self._store.all()
            self._take(kept)
        if self._upkeep(kept) != KeyChange():
            await self._change(self._upkeep)

    async def rotate(self) -> KeyStanding:
        """Publish a key that signs after the overlap, and return it; the one that waits already, if one does."""
        await self._change(self._succeeded)
        return [item for item in self.ring.standings() if item.state in {"signing", "published"}][-1]

    async def withdraw(self, kid: str, reason: str) -> KeyStanding | None:
        """Take a key out of the set at once, tell everybody, and return it; none when there is no such key.

        When it is the one that signs, a fresh key signs from now on, without overlap, and those that wait for their
        turn are withdrawn too, for they lay in the same place. A key that is withdrawn already is told of again.
        """
        await self._change(lambda keys: self._withdrawn(keys, kid, reason), unless={kid})
        return next((item for item in self.ring.standings() if item.kid == kid), None)

    async def withdraw_all(self, reason: str) -> list[KeyStanding]:
        """Take every key out of the set at once, sign with a fresh one, and return those that were withdrawn.

        They need not open: this is the way out when the sealing key is lost.
        """
        doomed: set[str] = set()

        def _all(keys: Sequence[KeptKey]) -> KeyChange:
            now = self._clock()
            doomed.update(self._in_use(keys))
            return self._replaced(keys, doomed, now, reason)

        await self._change(_all, unless=None)
        return [item for item in self.ring.standings() if item.kid in doomed]

    def follow(self, follower: Callable[[Sequence[SigningKey]], None]) -> None:
        """Tell ``follower`` the keys that verify, now and whenever they are others than before."""
        self._followers.append(follower)
        follower(self.ring.verifying())

    def age_seconds(self) -> float:
        """Return for how long the key that signs has been signing, seconds; 0 when none does."""
        signing = next((item for item in self.ring.standings() if item.state == "signing"), None)
        return max(0.0, self._clock() - signing.signs_from) if signing else 0.0

    def examine(self) -> str:
        """Return ``ok`` while the ring is fresh, every key in use opens and one signs, or what is wrong."""
        if self.ring.age_seconds > STALE_SECONDS:
            return f"not read for {STALE_SECONDS:g} s"
        if self._shut:
            return "a key does not open with the sealing key"
        try:
            self.ring.current()
        except NoSigningKey:
            return "no key signs"
        return "ok"

    async def _change(
        self, decide: Callable[[Sequence[KeptKey]], KeyChange], unless: AbstractSet[str] | None = frozenset()
    ) -> None:
        change = KeyChange()

        def _decide(keys: Sequence[KeptKey]) -> KeyChange:
            nonlocal change
            if unless is not None:
                self._insist(keys, unless)
            change = decide(keys)
            return change

        async with self._in_turn:
            self._take(await self._store.change(_decide))
        if change.notice.events:
            self._announcer.written(change.notice)

    def _insist(self, keys: Sequence[KeptKey], unless: AbstractSet[str]) -> None:
        in_use = self._in_use(keys)
        shut = [key.kid for key in keys if key.kid in in_use - unless and self._open(key) is None]
        if shut:
            raise SealError(
                f"the signing key {shut[0]} does not open with this sealing key. They belong together: restore the "
                "sealing key from the backup of this store, or copy it from another replica. If it is lost, "
                "`ztfm keys withdraw --all --reason lost` makes a new signing key and voids the capabilities in use."
            )

    def _in_use(self, keys: Sequence[KeptKey]) -> set[str]:
        return {item.kid for item in stand(keys, self._clock()) if item.state in VERIFYING}

    def _take(self, kept: Sequence[KeptKey]) -> None:
        in_use = self._in_use(kept)
        found = {key: self._open(key) for key in kept if key.kid in in_use}
        self._shut = tuple(key.kid for key, opened in found.items() if opened is None)
        opened = {key: opened for key, opened in found.items() if opened is not None}
        self._opened = {(key.kid, key.sealed): signing for key, signing in opened.items()}
        before = self.ring.verifying()
        self.ring.load(kept, {key.kid: signing for key, signing in opened.items()})
        if self.ring.verifying() != before:
            for follower in self._followers:
                follower(self.ring.verifying())

    def _open(self, key: KeptKey) -> SigningKey | None:
        known = self._opened.get((key.kid, key.sealed))
        if known is not None:
            return known
        try:
            opened = SigningKey.from_pem(self._sealer.open(key.sealed, key.kid))
        except (SealError, ValueError):
            return None
        return opened if opened.kid == key.kid else None

    def _seal(self, key: SigningKey, now: float, signs_from: float) -> KeptKey:
        sealed = self._sealer.seal(key.to_pem(), key.kid)
        return KeptKey(key.kid, key.public.x, key.public.y, sealed, created_at=now, signs_from=signs_from)

    def _fresh(self, now: float, signs_from: float) -> KeptKey:
        return self._seal(SigningKey.generate(), now, signs_from)

    def _revived(self, keys: Sequence[KeptKey]) -> KeyChange:
        now = self._clock()
        if any(item.state == "signing" for item in stand(keys, now)):
            return KeyChange()
        return KeyChange(put=(self._fresh(now, now),))

    def _succeeded(self, keys: Sequence[KeptKey]) -> KeyChange:
        now = self._clock()
        if any(item.state == "published" for item in stand(keys, now)):
            return KeyChange()
        revived = self._revived(keys)
        return revived if revived.put else KeyChange(put=(self._fresh(now, now + self.schedule.overlap_seconds),))

    def _withdrawn(self, keys: Sequence[KeptKey], kid: str, reason: str) -> KeyChange:
        now = self._clock()
        states = {item.kid: item.state for item in stand(keys, now)}
        if states.get(kid) == "signing":
            waiting = {item for item, state in states.items() if state == "published"}
            return self._replaced(keys, {kid, *waiting}, now, reason)
        ended = tuple(_end(key, now) for key in keys if key.kid == kid and key.withdrawn_at is None)
        return KeyChange(put=ended, notice=self._notice({kid} & states.keys(), reason))

    def _replaced(self, keys: Sequence[KeptKey], doomed: AbstractSet[str], now: float, reason: str) -> KeyChange:
        ended = (_end(key, now) for key in keys if key.kid in doomed)
        return KeyChange(put=(*ended, self._fresh(now, now)), notice=self._notice(doomed, reason))

    def _notice(self, kids: AbstractSet[str], reason: str) -> Notice:
        notices = [self._announcer.key_notice(kid, reason=reason) for kid in sorted(kids)]
        return Notice(
            revocations=[item for notice in notices for item in notice.revocations],
            events=[item for notice in notices for item in notice.events],
        )

    def _upkeep(self, keys: Sequence[KeptKey]) -> KeyChange:
        now = self._clock()
        standings = stand(keys, now)
        past = [item.kid for item in standings if item.state in _PAST]
        spent = tuple(replace(key, sealed=b"") for key in keys if key.sealed and key.kid in past)
        due = self._succeeded(keys).put if self._is_due(standings, now) else ()
        return KeyChange(put=(*spent, *due), forget=tuple(past[:-KEPT_PAST_KEYS]))

    def _is_due(self, standings: Sequence[KeyStanding], now: float) -> bool:
        signing = next((item for item in standings if item.state == "signing"), None)
        lead = self.schedule.signs_seconds - self.schedule.overlap_seconds
        return signing is None or now >= signing.signs_from + lead


def _end(key: KeptKey, now: float) -> KeptKey:
    return replace(key, sealed=b"", withdrawn_at=now)
