"""Signing keys in service: opened at start, read twice a second, replaced on schedule, shown in logs and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import structlog

from controlplane.capabilities.errors import CapabilityError
from controlplane.capabilities.inherited import Inherited, read_inherited
from controlplane.capabilities.keykeeping import Announcer, KeyKeeper, Schedule
from controlplane.capabilities.keyring import KeyRing
from controlplane.capabilities.revoking import key_notice, rotation_notice, status_notice
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.events import Initiator, Notice
from controlplane.contracts.identity import DeviceStatus
from controlplane.contracts.keys import KeyState
from controlplane.observing import Observer
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable

EVERY_SECONDS = 0.5
"""How often the store is read: a replica knows of another's new key, or of a withdrawal, after this long."""

INHERITED_FILE = "signing-key.pem"
"""Where the one signing key of earlier versions lies, in the state folder."""

DAY_SECONDS = 86_400.0

_log = structlog.get_logger("ztfm.keys")


class StoredNotices:
    """Announces through the store alone: the replicas that serve find it there, and push it.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def key_notice(self, kid: str, *, reason: str) -> Notice:
        """Return what is to be written in the transaction that withdraws a key."""
        return key_notice(kid, reason, self._clock())

    def status_notice(
        self, subjects: Collection[str], status: DeviceStatus, *, initiator: Initiator, txn: str | None = None
    ) -> Notice:
        """Return what is to be written in the transaction that changes subjects' status."""
        return status_notice(subjects, status, self._clock(), initiator, txn)

    def rotation_notice(self, subject: str) -> Notice:
        """Return what is to be written in the transaction that gives a subject another key."""
        return rotation_notice(subject, self._clock())

    def written(self, notice: Notice) -> None:
        """Leave the rest to those who serve."""


def build_keeper(
    settings: Settings, store: Store, sealer: Sealer, clock: Callable[[], float], announcer: Announcer
) -> KeyKeeper:
    """Return the keeper of the store's signing keys; `open_keys` brings it up."""
    schedule = Schedule(settings.signing_key_days * DAY_SECONDS, settings.key_overlap_seconds)
    return KeyKeeper(store.signing_keys, sealer, KeyRing(clock), clock, announcer, schedule)


async def open_keys(keeper: KeyKeeper, state_dir: Path) -> None:
    """Load the ring, which begins with the key of an earlier version's file, or with a new one.

    A file whose key is in the ring is removed: from then on the key is kept sealed, and only there.

    Raises:
        CapabilityError: the file cannot be used, or a key in use does not open.
        StoreUnavailable: the store failed.
        OSError: the file cannot be read or removed.
    """
    path = state_dir / INHERITED_FILE
    inherited = await asyncio.to_thread(read_inherited, path)
    await keeper.open(*(inherited.key, inherited.since) if inherited else ())
    if inherited is not None:
        await asyncio.to_thread(_dispose, keeper, inherited, path)


def _dispose(keeper: KeyKeeper, inherited: Inherited, path: Path) -> None:
    if any(item.kid == inherited.key.kid for item in keeper.ring.standings()):
        path.unlink(missing_ok=True)
        _log.info("signing_key_taken_over", kid=inherited.key.kid, removed=str(path), kept="sealed, in the store")
    else:
        _log.warning("signing_key_file_ignored", path=str(path), remedy="the store has a ring of its own; remove it")


async def follow_keys(
    keeper: KeyKeeper, observer: Observer, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Keep the ring in step with the store, for ever, and tell ``observer`` and the log how its keys stand.

    While the store is away the ring stays as it is; it signs nothing once it is too old.
    """
    known: dict[str, KeyState] = {}
    failing = False
    while True:
        try:
            await keeper.refresh()
        except (StoreUnavailable, CapabilityError) as error:
            if not failing:
                _log.error("signing_keys_not_kept", error=str(error))
            failing = True
        else:
            failing = False
        standings = keeper.ring.standings()
        for item in standings:
            if known.get(item.kid) != item.state:
                _log.info("signing_key", kid=item.kid, state=item.state)
        known = {item.kid: item.state for item in standings}
        observer.keys(standings, keeper.age_seconds(), keeper.schedule.signs_seconds)
        await sleep(EVERY_SECONDS)
