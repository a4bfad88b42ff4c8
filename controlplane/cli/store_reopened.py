"""A store that was put back from a backup, made safe to serve: what ``ztfm store restore`` and ``reopen`` do."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from controlplane.audit.checking import check
from controlplane.audit.remembered import HEAD_FILE, begins_with, read_head
from controlplane.capabilities.keyfiles import read_private
from controlplane.capabilities.sealing import Sealer
from controlplane.cli.stores import existing_store
from controlplane.rotation import StoredNotices, build_keeper
from controlplane.settings import Settings
from controlplane.storage import Store, open_store
from controlplane.storage.addresses import read_address
from controlplane.storage.backups import BackupFailed, copied, require_unused, set_apart_in, take_place
from controlplane.storage.migrating import schema_of
from controlplane.transparency.keys import read_signer
from controlplane.witnessing import KEY_FILE

LogChoice = Literal["same", "new"]

REASON = "the store was put back from a backup"

_ASK = (
    "say --log new, which begins another log with these entries; or --log same where no head was signed since the "
    "backup, which witnesses know"
)


@dataclass
class Reopened:
    """What was done to a store, and what is left to people.

    Attributes:
        log: whether the transparency log goes on, or another one begins.
        entries: that the log holds.
        keys: signing keys that were withdrawn.
        forgotten: rows that were taken out because they may have been used, by table.
        aside: where the store of before is now; none where there was none.
        set_apart_since: devices that the store of before had set apart and this one has not, with their status; none
            where that could not be read.
    """

    log: LogChoice
    entries: int
    keys: list[str]
    forgotten: Mapping[str, int]
    aside: str | None = None
    set_apart_since: list[tuple[str, str]] | None = field(default=None)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        apart = self.set_apart_since
        named = None if apart is None else [{"device": one, "status": status} for one, status in apart]
        return {**asdict(self), "set_apart_since": named}

    def lines(self) -> list[str]:
        """Return it in sentences."""
        gone = ", ".join(f"{count} of {name}" for name, count in self.forgotten.items())
        found = [
            f"{len(self.keys)} signing keys were withdrawn: devices ask for new capabilities",
            f"taken out, for they may have been used: {gone}",
            f"the log has {self.entries} entries and "
            + ("goes on" if self.log == "same" else "begins anew at the next start, with another key and name"),
        ]
        if self.aside is not None:
            found.append(f"the store of before is {self.aside}")
        if self.set_apart_since is None:
            found.append("who was set apart since the backup is not known here: see what you exported of the log")
        for device, status in self.set_apart_since or []:
            verb = "revoke" if status == "revoked" else "quarantine"
            found.append(f"set apart since the backup: ztfm devices {verb} {device}")
        found.append("look at them before the start: ztfm policy status, ztfm holds list, ztfm policy exception list")
        return found


async def reopened(settings: Settings, asked: LogChoice | None) -> Reopened:
    """Make the store that the settings name safe to serve.

    Raises:
        StoreError, AuditError, CapabilityError, NoteInvalid, OSError: it cannot be; the message says why.
    """
    _require_sealing_key(settings)
    async with existing_store(settings) as store:
        log = await _log_for(settings, store, asked)
        found = await _reopen(settings, store, log)
    _end_log(settings, log)
    return found


async def restored(settings: Settings, backup: Path, asked: LogChoice | None) -> Reopened:
    """Put a backup in the store's place, safe to serve; when that fails, nothing has changed.

    Raises:
        StoreError, AuditError, CapabilityError, NoteInvalid, OSError: it cannot be; the message says why.
    """
    address = read_address(settings.resolved_database_url)
    if address.get_backend_name() != "sqlite":
        raise BackupFailed("the store is PostgreSQL's: put it back with `pg_restore`, then `ztfm store reopen`")
    if not backup.is_file():  # noqa: ASYNC240 - the command has nothing else to do
        raise BackupFailed(f"there is no file {backup}")
    _require_sealing_key(settings)
    place = Path(str(address.database))
    require_unused(place)
    apart = set_apart_in(place)
    with copied(backup, place) as draft:
        other = address.set(database=str(draft))
        if (schema := await schema_of(other)).stands not in {"current", "older"}:
            raise BackupFailed(f"{backup} has schema {schema.found}, and this version's is {schema.head}")
        store = await open_store(other.render_as_string(hide_password=False))
        try:
            await _require_sound_log(store, backup)
            log = await _log_for(settings, store, asked)
            found = await _reopen(settings, store, log)
            if apart is not None:
                still = {(one.device, one.status) for one in await store.reopening.set_apart()}
                found.set_apart_since = [one for one in apart if one not in still]
        finally:
            await store.close()
        aside = place.with_name(f"{place.name}.before-{int(time.time())}")
        if take_place(draft, place, aside):
            found.aside = str(aside)
    _end_log(settings, log)
    return found


async def _reopen(settings: Settings, store: Store, log: LogChoice) -> Reopened:
    newest = await store.reopening.newest_event()
    sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
    keeper = build_keeper(settings, store, sealer, time.time, StoredNotices(time.time))
    withdrawn = await keeper.withdraw_all(REASON)
    await store.reopening.leap(newest)
    forgotten = await store.reopening.forget_used()
    if log == "new":
        await store.reopening.forget_heads()
    return Reopened(log, await store.log.size(), [one.kid for one in withdrawn], dict(forgotten))


async def _require_sound_log(store: Store, backup: Path) -> None:
    found = await check(store.log, store.decisions, lambda _: None)
    if found.faults:
        raise BackupFailed(f"the log in {backup} is not as it was written: {found.faults[0].message}")


async def _log_for(settings: Settings, store: Store, asked: LogChoice | None) -> LogChoice:
    """Return whether the log goes on: where it begins with what was signed last, as this machine remembers it."""
    if asked == "new":
        return "new"
    key = read_private(_log_key(settings))
    if key is None:
        raise BackupFailed(f"there is no key {_log_key(settings)} of the log: put it back, or {_ASK}")
    head = read_head(settings.state_dir / HEAD_FILE, read_signer(key, "note").verifier)
    if head is None:
        if asked is None:
            raise BackupFailed(f"this machine does not remember what was signed of the log last: {_ASK}")
        return "same"
    size = await store.log.seal()
    if size < head[0].size or not await begins_with(store.log, head[0]):
        raise BackupFailed(
            f"the log in it has {size} entries and does not begin with the {head[0].size} that were signed last: going "
            "on with it would be a second history of one log. Put back a newer backup, or begin another log: --log new"
        )
    return "same"


def _end_log(settings: Settings, log: LogChoice) -> None:
    """Move the key and the last head of a log that ends aside; the next start makes others."""
    if log == "same":
        return
    for path in (settings.state_dir / HEAD_FILE, _log_key(settings)):
        if path.exists():
            path.rename(path.with_name(f"{path.name}.ended-{int(time.time())}"))


def _log_key(settings: Settings) -> Path:
    return settings.log_key_file or settings.state_dir / KEY_FILE


def _require_sealing_key(settings: Settings) -> None:
    path = settings.resolved_sealing_key_file
    if not path.is_file():
        raise BackupFailed(
            f"there is no sealing key {path}: put it back first. Where it is lost, start with "
            f"`ztfm keys withdraw --all --reason '{REASON}'`, which makes another one"
        )
