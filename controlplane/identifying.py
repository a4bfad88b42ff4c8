"""Identities in service: the organisation's key, the ledger that is followed, and what is done about differences."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import structlog

from controlplane.audit import AuditUnavailable
from controlplane.audit.heads import Heads, LogRewritten
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.histories import founders as pinned_identities
from controlplane.identity.comparing import MOST_FINDINGS, Comparison, Finding, refused
from controlplane.identity.following import Follower, Publishing
from controlplane.identity.ledgers.interface import Ledger, LedgerLied, LedgerUnavailable
from controlplane.identity.ledgers.keeping import KeptLog, LogLedger
from controlplane.identity.ledgers.plugging import open_ledger
from controlplane.identity.organisation import Organisation
from controlplane.identity.pinned import Founder, Founders, FoundersInvalid, read_founders
from controlplane.jose.keys import DeviceKey
from controlplane.observing import Observer
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable
from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.notes import Note

_log = structlog.get_logger("ztfm.identity")

LOG = "log"
BEGAN = "identities-began"
"""Where the state folder has this file, every device that enrols has a record from then on."""

LAST_BACKOFF_SECONDS = 60.0
MOST_TOUCHED = 500
"""Devices that are compared at once since the ledger says something new of them; the others are in their turn."""


class OrganisationInvalid(ValueError):  # noqa: N818 - named for what happened
    """The organisation's key or name cannot be used. The message says why."""


class Responds(Protocol):
    """Has something done about findings; `identity.responding` does."""

    async def respond(self, findings: Sequence[Finding]) -> None:
        """Say what was found, and do what policy decides."""
        ...


def load_organisation(settings: Settings, clock: Callable[[], float]) -> Organisation:
    """Return the organisation of the settings; its key is made on first use with mode 0600.

    Raises:
        KeyFileError: others can read the key's file.
        OrganisationInvalid: it holds no such key.
        OSError: it cannot be read or written.
    """
    path = settings.resolved_organisation_key_file
    pem = read_private(path)
    if pem is None:
        pem = create_private(path, DeviceKey.generate().to_pem())
    return _organisation(settings, path, pem, clock)


def known_organisation(settings: Settings, clock: Callable[[], float]) -> Organisation | None:
    """Return the organisation of the settings where its key is on this machine; none, and none is made, elsewhere.

    Raises:
        KeyFileError: others can read the key's file.
        OrganisationInvalid: it holds no such key.
        OSError: it cannot be read.
    """
    path = settings.resolved_organisation_key_file
    pem = read_private(path)
    return None if pem is None else _organisation(settings, path, pem, clock)


def _organisation(settings: Settings, path: Path, pem: bytes, clock: Callable[[], float]) -> Organisation:
    try:
        key = DeviceKey.from_pem(pem)
    except ValueError as error:
        raise OrganisationInvalid(
            f"{path}: {error}. Restore it from a backup; with a new key the organisation is another one"
        ) from None
    did = settings.organisation_did or did_key(key.public)
    return Organisation(did, key, settings.federation, settings.ledger, clock)


def founders_of(settings: Settings, organisation: Organisation) -> Founders:
    """Return the organisations that found the federation: those that the settings name, or this one alone.

    Raises:
        FoundersInvalid: the file cannot be used, or is of another federation.
        OSError: it cannot be read.
    """
    if settings.ledger_founders_file is None:
        own = Founder(did=organisation.did, key=organisation.public)
        return Founders(federation=settings.federation, founders=[own])
    found = read_founders(settings.ledger_founders_file)
    if found.federation not in (None, settings.federation):
        raise FoundersInvalid(
            f"{settings.ledger_founders_file} names the founders of {found.federation}, and ZTFM_FEDERATION is "
            f"{settings.federation}"
        )
    return found


class Identifying:
    """What follows a ledger, publishes to it, and compares it with the registry.

    Args:
        store: keeps all of it.
        ledger: it.
        founders: keys of the organisations that are pinned, by their DIDs.
        organisation: that makes records here.
        observer: counts.
        clock: Unix seconds.
        source: what everybody is shown of the ledger, where it is our own log.
        began: file that says that whoever was here before there were records has got one. It is not in the database,
            so whoever writes there has nobody vouched for.
        late_seconds: after which a record that is not final is a finding.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        founders: Mapping[str, PublicKey],
        organisation: Organisation,
        observer: Observer,
        clock: Callable[[], float],
        source: KeptLog | None,
        began: Path,
        late_seconds: float,
    ) -> None:
        self.organisation, self.source, self.ledger = organisation, source, ledger
        self._store, self._observer, self._clock = store, observer, clock
        federation = organisation.federation
        self.follower = Follower(ledger, store.ledgers, founders, federation, observer, clock)
        self._publishing = Publishing(ledger, store.identities, clock)
        own = Identity("issuer", organisation.did, organisation.did, organisation.public)
        self._comparison = Comparison(
            ledger.name, store.ledgers, pinned_identities(founders), federation, own, late_seconds
        )
        self._read_at = clock()
        self._began = began

    async def advance(self, responds: Responds) -> None:
        """Make what is missing, publish it, take in what is final, and compare.

        Raises:
            LedgerUnavailable: the ledger does not answer.
            LedgerLied: what it shows is not proven, or contradicts what it showed before.
            StoreUnavailable, AuditUnavailable: something was not kept or decided; it is done the next time.
        """
        vouches = not await asyncio.to_thread(self._began.exists)
        while await self._store.identities.make_pending(vouches=vouches):
            pass
        if vouches:
            await asyncio.to_thread(self._began.touch, 0o600)
        lost = [
            Finding(
                "rejected",
                one.read().statement.subject,
                f"the ledger has another record in the place of {one.read().hash}",
            )
            for one in await self._publishing.publish()
        ]
        findings, touched = [*lost], set()
        while judged := await self.follower.advance():
            findings += refused(judged)[: max(0, MOST_FINDINGS - len(findings))]
            # A record that changes nothing is no reason to look, and anybody may write many of them.
            touched |= {one.subject for one in judged if not one.refusal}
        if judged is None:
            # Somebody else reads on, and compares when it is at the end; what was found here nobody else tells.
            await responds.respond(findings)
            return
        self._read_at = self._clock()
        findings += await self._comparison.of(sorted(touched)[:MOST_TOUCHED])
        findings += await self._comparison.some()
        findings += await self._comparison.late(self._clock())
        await responds.respond(findings)

    async def show(self) -> None:
        """Show how far behind the ledger is read, and how much waits to be final on it.

        Raises:
            StoreUnavailable: that cannot be read.
        """
        waiting, _ = await self._store.identities.waiting()
        self._observer.ledger(max(0.0, self._clock() - self._read_at), waiting)


@asynccontextmanager
async def identifying(
    settings: Settings, store: Store, heads: Heads, observer: Observer, clock: Callable[[], float]
) -> AsyncIterator[Identifying]:
    """Yield what follows the ledger of the settings; records are made from here on.

    Raises:
        KeyFileError: the organisation's key cannot be used.
        OrganisationInvalid: it is none.
        FoundersInvalid: the file of founders cannot be used.
        LedgerUnusable: the ledger cannot be opened.
        OSError: a file cannot be read.
    """
    organisation = await asyncio.to_thread(load_organisation, settings, clock)
    founders = (await asyncio.to_thread(founders_of, settings, organisation)).keys
    async with AsyncExitStack() as opened:
        source: KeptLog | None = None
        ledger: Ledger
        if settings.ledger == LOG:
            source = KeptLog(store.identity_log, store.log, _Heads(heads))
            ledger = LogLedger(store.identity_log, source, heads.quorum, clock)
        else:
            ledger = open_ledger(settings.ledger, os.environ, clock, federation=settings.federation, founders=founders)
            if isinstance(ledger, AbstractAsyncContextManager):
                await opened.enter_async_context(ledger)
        await _require_same(store, organisation)
        await store.identities.begin(organisation)
        began = settings.state_dir / BEGAN
        late = settings.ledger_late_seconds
        yield Identifying(store, ledger, founders, organisation, observer, clock, source, began, late)


async def _require_same(store: Store, organisation: Organisation) -> None:
    """Return if the organisation is the one that made the records of this database, or is an issuer on the ledger.

    Replicas that sign with keys of their own would have each other's devices set apart.

    Raises:
        OrganisationInvalid: it is another.
    """
    latest = await store.identities.latest_registration()
    if latest is None:
        return
    record = latest.read()
    if record.statement.issuer == organisation.did and record.is_by(organisation.public):
        return
    known = (await store.ledgers.known(organisation.ledger, [organisation.did])).get(organisation.did)
    if known is None or known.is_revoked or known.key != organisation.public:
        raise OrganisationInvalid(
            f"the records in this database are of {record.statement.issuer}, signed with another key than the "
            f"organisation's here ({organisation.did}). Replicas of one database share ZTFM_ORGANISATION_KEY_FILE and "
            "ZTFM_ORGANISATION_DID: copy the file from the first one, or restore it from a backup"
        )


async def keep_identities(
    found: Identifying,
    responds: Responds,
    every: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Keep up with the ledger every so many seconds, for ever; less often while it does not answer."""
    wait = every
    while True:
        try:
            await found.advance(responds)
            wait = every
        except LedgerUnavailable as error:
            _log.warning("ledger_unavailable", ledger=found.ledger.name, cause=str(error))
            wait = _longer(wait, every)
        except LedgerLied as error:
            _log.error("ledger_lied", ledger=found.ledger.name, cause=str(error))
            await _tell(found, responds, str(error))
            wait = _longer(wait, every)
        except (StoreUnavailable, AuditUnavailable) as error:
            _log.warning("identities_not_followed", error=type(error).__name__)
        except Exception:  # noqa: BLE001 - logged, and the lag that is shown grows until it works again
            _log.exception("identities_fault", ledger=found.ledger.name)
            wait = _longer(wait, every)
        try:
            await found.show()
        except StoreUnavailable as error:
            _log.warning("identities_not_shown", error=type(error).__name__)
        await sleep(wait)


async def _tell(found: Identifying, responds: Responds, cause: str) -> None:
    try:
        await responds.respond([Finding("ledger_lied", found.ledger.name, cause)])
    except (StoreUnavailable, AuditUnavailable) as error:
        _log.warning("finding_not_told", error=type(error).__name__)


def _longer(wait: float, every: float) -> float:
    return max(every, min(2 * wait, LAST_BACKOFF_SECONDS))


class _Heads:
    """The log's heads for its reader, whose faults are those of a ledger."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    async def latest(self) -> tuple[Checkpoint, Note] | None:
        try:
            return await self._heads.latest()
        except LogRewritten as error:
            raise LedgerLied(str(error)) from None

    async def grew(self, earlier: int, later: int) -> list[bytes]:
        try:
            return await self._heads.grew(earlier, later)
        except LogRewritten as error:
            raise LedgerLied(str(error)) from None
