"""What the edge needs from the rest of the house, handed over once by the composition root."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from aiohttp import web

from controlplane.api.access import Access
from controlplane.api.idempotency import Repeats
from controlplane.api.paging import PageTokens
from controlplane.api.rates import RateLimit
from controlplane.audit.heads import Heads
from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.broadcasting import Broadcast
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.revoking import Revoker
from controlplane.capabilities.statuspublishing import StatusLists
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.events import Initiator
from controlplane.contracts.identity import Device, DeviceStatus, EnrolmentGrant, PublicKey, Trust
from controlplane.contracts.observed import Observed
from controlplane.contracts.policies import PolicyStanding
from controlplane.contracts.rollback import Contribution
from controlplane.decisions.alerts import AlertDesk
from controlplane.decisions.candidates import Candidates
from controlplane.decisions.decider import Decider
from controlplane.decisions.exceptions import CurrentExceptions
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.holds import CurrentHolds
from controlplane.decisions.provenance import Provenance
from controlplane.decisions.responding import Responder
from controlplane.decisions.rollbacks import RollbackBook
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.watching import RequestWatch, SignalWatch
from controlplane.identifiers.records import Record
from controlplane.identifiers.shown import ShownRecords
from controlplane.identity.credentials.manufacturers import Manufacturers
from controlplane.identity.credentials.presented import Credentials
from controlplane.identity.resolving import Resolver
from controlplane.releases.publishing import Publisher
from controlplane.releases.shadows import ShadowBook
from controlplane.storage.behaviour import Behaviour
from controlplane.storage.contributions import Contributions
from controlplane.storage.decisions import Decisions
from controlplane.storage.exceptions import Exceptions
from controlplane.storage.holds import Holds
from controlplane.storage.identities import Identities
from controlplane.storage.log import Log
from controlplane.storage.observations import Observations
from controlplane.storage.releases import Releases
from controlplane.telemetry.metrics import Metrics


class Organisation(Protocol):
    """The organisation that this control plane speaks for, as it is now."""

    @property
    def did(self) -> str:
        """Its DID."""
        ...

    @property
    def public(self) -> PublicKey:
        """The key that it signs with."""
        ...


class Registry(Protocol):
    """Registered subjects."""

    async def get(self, device_id: str) -> Device | None:
        """Return a subject by id, or none."""
        ...

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a subject by its key, or none."""
        ...

    async def by_former_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a subject by a key that it had before, or none."""
        ...

    async def enrol(self, token: str | None, device: Device) -> bool:
        """Use the token, where there is one, and add the device, both or neither."""
        ...

    async def rotate(self, device: Device, record: Record) -> None:
        """Give a device another key, as a record says; `RecordRefused` where it may not be."""
        ...

    async def record_behaviour(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution] = ()
    ) -> frozenset[str]:
        """Keep what becomes of subjects in one transaction, except for who was changed meanwhile: return these."""
        ...

    async def set_status(self, device_id: str, status: DeviceStatus, *, initiator: Initiator = ...) -> bool:
        """Set a subject's status; false when there is no such subject, or it is revoked."""
        ...


class Shown(Protocol):
    """What everybody is shown of identities."""

    async def records(self, start: int, limit: int) -> ShownRecords:
        """Return records from a number on, each with its proof."""
        ...


class Tokens(Protocol):
    """Enrolment tokens."""

    async def lookup(self, token: str) -> EnrolmentGrant | None:
        """Return what a token allows, or none."""
        ...

    async def issue(self, roles: Sequence[str], segment: str, lifetime_seconds: float, count: int = 1) -> list[str]:
        """Return new tokens; they cannot be read again."""
        ...


class Ledger(Protocol):
    """Counts uses of capabilities, across processes."""

    async def consume(self, jtis: Mapping[str, float]) -> Mapping[str, int]:
        """Count one use of each id (to its expiry, Unix seconds); return the uses before."""
        ...

    async def give_back(self, jtis: Sequence[str]) -> None:
        """Take back a use of each id."""
        ...


class DecisionLog(Protocol):
    """Recorded decisions."""

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        """Keep a record; it is durable when this returns."""
        ...

    async def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a recorded decision, or none."""
        ...


@dataclass(frozen=True)
class Readiness:
    """Whether the parts that a decision needs are there.

    Attributes:
        ready: all of them.
        checks: each by name: ``ok`` or what is wrong.
        policy_revision: the revision that decides; empty when none does.
        policy_age_seconds: since it was published; none when that is not known.
        policies: where each layer stands.
    """

    ready: bool
    checks: Mapping[str, str]
    policy_revision: str
    policy_age_seconds: float | None
    policies: PolicyStanding


NonceMode = Literal["token", "always", "off"]
"""Where proofs need the server's nonce: at the token endpoint, on every route, or nowhere."""

EDGE_CAUSES = (
    "reporter_not_believed",
    "unverified",
    "two_credentials",
    "unknown_scheme",
    "certificate_expired",
    "wrong_token",
)
"""Why an update's capability or a caller's credential does not count, beside the causes of `capabilities.refusals`."""


@dataclass(frozen=True)
class EdgeLimits:
    """Bounds of the edge.

    Attributes:
        rate: requests a second of one enrolled key.
        burst: of one enrolled key.
        stranger_rate: refused or anonymous requests a second of one address.
        stranger_burst: of one address.
        rotation_rate: new keys a second of one device; each is a record for ever, which a ledger may charge for.
        rotation_burst: of one device.
    """

    rate: float = 200.0
    burst: float = 400.0
    stranger_rate: float = 20.0
    stranger_burst: float = 100.0
    rotation_rate: float = 1 / 600
    rotation_burst: float = 10.0


@dataclass(frozen=True)
class Services:
    """The parts, by what they do.

    Attributes:
        proofs: verifies the proofs of enrolled keys.
        newcomers: verifies the proofs of keys that ask to be enrolled; apart, so that strangers fill no room of
            the enrolled.
        credentials: examines issuers' credentials.
        manufacturers: examines manufacturers' certificates.
        access_tokens: mints and verifies the tokens for this API itself, which are no capabilities.
        nonces: the nonces of this replica for proofs.
        exposition: returns the metrics of all processes of this replica in a form that is taken, and its content type.
        revoker: revokes capabilities, subjects and keys, and knows what is void.
        broadcast: pushes revocations to those who listen.
        status_lists: revocations for those who poll.
        entries: the transparency log, as it is kept.
        heads: signs heads of it, and proves what is in it.
        provenance: states in it who shaped a model.
        exceptions: granted exceptions as they are kept.
        excepted: those that have not ended, as decisions see them.
        holds: what alerts had held, as it is kept.
        held: what is held, as decisions see it.
        alerts: has policy asked about alerts.
        responder: judges behaviour, decides where subjects stand, and keeps it.
        requests: has decided requests judged.
        signals: has reported inferences judged.
        behaviour: how subjects stand, as it is kept.
        observations: verdicts on them.
        contributions: whose updates went into which round's model.
        rollbacks: orders to rebuild a model without some of them.
        publisher: releases policies and goes back.
        releases: what was released.
        shadows: candidates beside the live policy, and what they would change.
        policies: where each layer of policies stands, when the engine decides by a revision.
        resolver: says what DIDs stand for.
        identities: signed records of subjects, as they are made here.
        shown: what everybody is shown of them; none where they lie on another ledger.
        organisation: that this control plane speaks for; none where it speaks for none.
    """

    public_url: str
    access: Access
    newcomer_trust: Trust
    federation: str
    clock: Callable[[], float]
    decider: Decider
    gatherer: Gatherer
    rounds: RoundBook
    contributions: Contributions
    rollbacks: RollbackBook
    registry: Registry
    tokens: Tokens
    credentials: Credentials
    manufacturers: Manufacturers
    responder: Responder
    requests: RequestWatch
    signals: SignalWatch
    behaviour: Behaviour
    observations: Observations
    ledger: Ledger
    records: Decisions
    entries: Log
    heads: Heads
    provenance: Provenance
    exceptions: Exceptions
    excepted: CurrentExceptions
    holds: Holds
    held: CurrentHolds
    alerts: AlertDesk
    log: DecisionLog
    proofs: ProofVerifier
    newcomers: ProofVerifier
    minter: Minter
    capabilities: CapabilityVerifier
    access_tokens: AccessTokens
    nonces: Nonces
    nonce_mode: NonceMode
    keys: KeyKeeper
    revoker: Revoker
    broadcast: Broadcast
    status_lists: StatusLists
    jwks: Callable[[], dict[str, Any]]
    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Metrics
    exposition: Callable[[str], Awaitable[tuple[bytes, str]]]
    callers: RateLimit
    strangers: RateLimit
    rotations: RateLimit
    repeats: Repeats
    candidates: Candidates
    pages: PageTokens
    publisher: Publisher
    releases: Releases
    shadows: ShadowBook
    policies: Callable[[str], PolicyStanding]
    resolver: Resolver
    identities: Identities
    shown: Shown | None = None
    organisation: Organisation | None = None


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
