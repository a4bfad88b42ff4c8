"""The store: its parts, and what takes two of them at once."""

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import Device
from controlplane.storage.addresses import Synchronous, read_address
from controlplane.storage.attestations import Attestations
from controlplane.storage.behaviour import Behaviour
from controlplane.storage.budgets import Budgets
from controlplane.storage.capabilities import Capabilities
from controlplane.storage.changes import Changes
from controlplane.storage.contributions import Contributions
from controlplane.storage.counting import Counts
from controlplane.storage.database import Database, Spans
from controlplane.storage.decisions import Decisions
from controlplane.storage.device_changes import ChangesOfDevices
from controlplane.storage.devices import Devices, insert_device
from controlplane.storage.events import Events
from controlplane.storage.exceptions import Exceptions
from controlplane.storage.fleet import Fleet
from controlplane.storage.holds import Holds
from controlplane.storage.idempotency import Idempotency
from controlplane.storage.identities import Identities
from controlplane.storage.identity_log import IdentityLog
from controlplane.storage.judged import Judged
from controlplane.storage.ledgers import Ledgers
from controlplane.storage.limits import Limits
from controlplane.storage.log import Log
from controlplane.storage.migrating import migrate
from controlplane.storage.models import Models
from controlplane.storage.observations import Observations
from controlplane.storage.privacy import PrivacyAccounts
from controlplane.storage.profiles import Profiles
from controlplane.storage.released_secrets import ReleasedSecrets
from controlplane.storage.releases import Releases
from controlplane.storage.reopening import Reopening
from controlplane.storage.revocations import Revocations
from controlplane.storage.rollbacks import Rollbacks
from controlplane.storage.rounds import Rounds
from controlplane.storage.segments import Segments
from controlplane.storage.sessions import Sessions
from controlplane.storage.shadows import Shadows
from controlplane.storage.signing_keys import SigningKeys
from controlplane.storage.tokens import Tokens, consume_token


class Store:
    """One database by its parts. Every method of every part raises `StoreUnavailable` when the database fails.

    Attributes:
        devices: registered devices.
        fleet: the same with where each stands, in pages.
        changes: marks by which one sees that something has changed.
        device_changes: what happened to devices lately.
        identities: signed records of them.
        identity_log: those that are entries of the log.
        ledgers: what was followed of a ledger.
        attestations: challenges, and what became of evidence.
        tokens: enrolment tokens by hash.
        behaviour: how devices stand by their behaviour.
        observations: scores to compare with, and verdicts.
        privacy: what was spent of privacy budgets.
        budgets: what was used and leased of budgets of inference.
        profiles: how devices usually ask.
        contributions: which updates went into which round's model.
        judged: what came to rounds, with what became of it.
        models: versions of models that somebody signed.
        rounds: rounds and submissions.
        rollbacks: orders to rebuild a model.
        capabilities: used capabilities.
        decisions: recorded decisions.
        revocations: what is void before its time.
        events: the security events that say so.
        signing_keys: signing keys, sealed.
        shadows: policies that decide beside the live ones, and what they would change.
        exceptions: granted exceptions.
        holds: what alerts had held.
        log: the transparency log.
        idempotency: answers that are kept for requests that are sent again.
        releases: published policies.
        limits: what replicas count together.
        secrets: that are released to attested platforms, sealed.
        reopening: what makes a store from a backup safe to serve.
        segments: where devices are on the network, and what their capabilities open there.
        sessions: of the console.
    """

    def __init__(self, database: Database) -> None:
        counts = Counts(database)
        self._database = database
        self.identities = Identities(database)
        self.identity_log = IdentityLog(database)
        self.ledgers = Ledgers(database)
        self.devices = Devices(database, self.identities)
        self.fleet = Fleet(database)
        self.changes = Changes(database)
        self.device_changes = ChangesOfDevices(database)
        self.attestations = Attestations(database)
        self.tokens = Tokens(database)
        self.behaviour = Behaviour(database)
        self.observations = Observations(database)
        self.privacy = PrivacyAccounts(database)
        self.budgets = Budgets(database)
        self.profiles = Profiles(database)
        self.contributions = Contributions(database)
        self.judged = Judged(database)
        self.models = Models(database)
        self.rounds = Rounds(database, counts)
        self.rollbacks = Rollbacks(database)
        self.capabilities = Capabilities(database, counts)
        self.decisions = Decisions(database)
        self.revocations = Revocations(database)
        self.events = Events(database)
        self.signing_keys = SigningKeys(database)
        self.shadows = Shadows(database)
        self.exceptions = Exceptions(database)
        self.holds = Holds(database)
        self.log = Log(database)
        self.idempotency = Idempotency(database)
        self.releases = Releases(database)
        self.limits = Limits(database)
        self.secrets = ReleasedSecrets(database)
        self.segments = Segments(database)
        self.sessions = Sessions(database)
        self.reopening = Reopening(database)

    async def enrol(self, token_hash: str | None, device: Device) -> bool:
        """Use up a token and register a device, both or neither.

        Args:
            token_hash: of the token; none where the device showed something else, that its key alone can be used with.
            device: it.

        Returns:
            False, with nothing changed, when the token is unknown, was used or had expired at the time of
            enrolment, or when the device's id or key is registered already.
        """

        async def _enrol(connection: AsyncConnection) -> bool:
            is_consumed = token_hash is None or await consume_token(connection, token_hash, device.enrolled_at)
            if is_consumed and await insert_device(connection, device, self.identities):
                return True
            await connection.rollback()
            return False

        return await self._database.write("enrol a device", _enrol)

    async def ping(self) -> None:
        """Return when the database answers, and has not refused what was last written."""
        await self._database.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()


async def open_store(url: str, *, synchronous: Synchronous = "NORMAL", spans: Spans | None = None) -> Store:
    """Open the database of a SQLAlchemy URL, bring it to this version's schema, and return it.

    SQLite (``sqlite+aiosqlite:///PATH``) and PostgreSQL (``postgresql+asyncpg://...``) are known.

    Args:
        url: the database.
        synchronous: how SQLite commits; ``FULL`` keeps what was recorded, and what was used up, through a power cut.
        spans: traces what is done; none does not.

    Raises:
        StoreAddressError: the URL names nothing that can be opened.
        StoreUnavailable: the database cannot be reached or migrated.
    """
    address = read_address(url)
    await migrate(address)
    return Store(Database(address, synchronous, spans))
