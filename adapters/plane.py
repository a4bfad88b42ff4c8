"""The control plane as an asyncio client sees it: one method for each thing that it does."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Unpack

from adapters.administering import Administering
from adapters.answers import Grant, granted, refused
from adapters.asking import Asking
from adapters.budgeting import Budgeting
from adapters.calls import CallOptions
from adapters.calls import segment as _segment
from adapters.errors import Forbidden
from adapters.feed import MAX_SILENCE_SECONDS, RevocationFeed
from adapters.platform import Attesting
from adapters.presenting import Certificates, Credential, Evidence
from adapters.rotating import Rotating
from adapters.secretkeeping import Secretkeeping
from adapters.segmenting import Segmented
from adapters.serversent import ServerEvent
from adapters.wire import KEYS_PATH, PublishedKeys, read_answer, read_keys_document
from controlplane.contracts.access import ActionName, Resource
from controlplane.contracts.base import StrictModel
from controlplane.contracts.capability import Capability, CapabilityContext, CapabilityRequest
from controlplane.contracts.content import ContentReport
from controlplane.contracts.decision import ContentAnswer
from controlplane.contracts.identity import CertificateRequest, Enrolled, EnrolmentRequest, IssuedCertificate
from controlplane.contracts.rollback import Rollback, RollbackResult
from controlplane.contracts.rounds import (
    Round,
    RoundRequest,
    UpdateReport,
    UpdateReports,
    UpdateVerdicts,
)
from controlplane.contracts.signals import InferenceSignals, SignalReports, SignalsTaken
from controlplane.contracts.svids import IssuedJwtSvid, JwtSvidRequest
from controlplane.identifiers.documents import Resolution
from controlplane.jose.keys import DeviceKey


class LayerReadiness(StrictModel):
    """Where a layer of policies stands.

    Attributes:
        layer: base, tenant or site.
        active_revision: by which it decides; empty when by none.
        released_revision: that is to decide; empty when nothing was published.
        age_seconds: since that was published; none when nothing was.
        refused: why that was not taken, in a word; none when it was.
    """

    layer: str
    active_revision: str
    released_revision: str
    age_seconds: float | None
    refused: str | None


class Readiness(StrictModel):
    """Whether the control plane can decide.

    Attributes:
        ready: all of its parts are there.
        engine: what evaluates policies: ``opa``, or ``embedded``.
        checks: each part by name: ``ok``, or what is wrong with it.
        policy_revision: the revision that decides; empty when none does.
        policy_age_seconds: since it was published; none when that is not known.
        policies: where each layer stands.
    """

    ready: bool
    engine: str
    checks: dict[str, str]
    policy_revision: str
    policy_age_seconds: float | None
    policies: list[LayerReadiness]


class ControlPlane(Asking, Administering, Rotating, Attesting, Secretkeeping, Segmented, Budgeting):
    """The control plane at ``url``, spoken to as the holder of ``key``. An asynchronous context manager.

    A denial is a value (`adapters.answers`); every method may raise any of `adapters.errors`. How it is called, and
    what the arguments are, is at `adapters.calls.Calls`.
    """

    def __init__(self, url: str, key: DeviceKey, **options: Unpack[CallOptions]) -> None:
        super().__init__(url, key, **options)
        self._feeds: list[RevocationFeed] = []

    async def close(self) -> None:
        """Give back the connections; feeds of revocations end with them."""
        for feed in self._feeds:
            await feed.close()
        self._feeds.clear()
        await super().close()

    async def enrol(self, evidence: Evidence, roles: Sequence[str], segment: str) -> Enrolled:
        """Register this key and return the name that it has from now on.

        Args:
            evidence: a single-use token, or what an issuer or a manufacturer says of the key's holder.
            roles: what it will do.
            segment: where it lives.
        """
        known = {"roles": list(roles), "segment": segment}
        if isinstance(evidence, Credential):
            shown = evidence.present(self._prover.key, self.url, self.clock())
            request = EnrolmentRequest.model_validate({"credential": shown, **known})
        elif isinstance(evidence, Certificates):
            request = EnrolmentRequest.model_validate({"certificates": list(evidence.chain), **known})
        else:
            request = EnrolmentRequest.model_validate({"token": evidence, **known})
        return read_answer(Enrolled, await self._post_once("/v1/devices", request))

    async def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        """Ask for a capability for one action on one resource at one enforcement point.

        A denial is a value here: ``require()`` returns the capability or raises `Denied`.
        """
        stated = context or CapabilityContext()
        request = CapabilityRequest(action=action, resource=resource, audience=audience, context=stated)
        try:
            return granted(read_answer(Capability, await self._post("/v1/capabilities", request)))
        except Forbidden as denial:
            if denial.problem is None or denial.problem.decision_id is None:
                raise
            return refused(denial.problem)

    async def resolve(self, did: str) -> Resolution:
        """Return what a DID, or a device's registered name, stands for.

        One that does not resolve is a value here: its ``error`` says why, and ``keys_for`` has no keys then. Everybody
        may ask for themselves; for others, those whom policy lets.
        """
        return read_answer(Resolution, await self._get(f"/v1/identifiers/{_segment(did)}"))

    async def certificate(self, lifetime_seconds: float = 3_600.0, csr: str | None = None) -> IssuedCertificate:
        """Return an X509-SVID for up to a day (`adapters.svid`, `adapters.mutual`).

        Args:
            lifetime_seconds: from five minutes to a day; policy may have it shorter.
            csr: PEM of a PKCS #10 request by another P-256 key, which is certified then; none for this client's own.
        """
        request = CertificateRequest(lifetime_seconds=lifetime_seconds)
        if csr is not None:
            request = CertificateRequest(lifetime_seconds=lifetime_seconds, csr=csr)
        return read_answer(IssuedCertificate, await self._post("/v1/certificates", request))

    async def jwt_svid(self, audience: Sequence[str], lifetime_seconds: float = 300.0) -> IssuedJwtSvid:
        """Return a JWT-SVID: a bearer token that says who this is, to those whom it names, for up to five minutes."""
        request = JwtSvidRequest(audience=list(audience), lifetime_seconds=lifetime_seconds)
        return read_answer(IssuedJwtSvid, await self._post("/v1/svids/jwt", request))

    async def trust_bundle(self) -> bytes:
        """Return the SPIFFE trust bundle as it is published; `adapters.svid.TrustBundle` reads it."""
        return (await self._ask("GET", "/.well-known/spiffe-bundle", is_proven=False)).body

    async def open_round(self, request: RoundRequest) -> Round:
        """Open a round; its id must never have been used."""
        return read_answer(Round, await self._post_once("/v1/rounds", request))

    async def report_updates(self, round_id: str, updates: Sequence[UpdateReport]) -> UpdateVerdicts:
        """Report a round's updates and return their verdicts, in the same order. Their capabilities are used up.

        With them come the rollbacks of the round's model that this side is to carry out (`report_rollback`).
        """
        body = UpdateReports(updates=list(updates))
        return read_answer(UpdateVerdicts, await self._post_once(f"/v1/rounds/{_segment(round_id)}/updates", body))

    async def report_rollback(self, rollback_id: str, result: RollbackResult) -> Rollback:
        """Report what became of a rollback; told again, the same is no error."""
        return read_answer(Rollback, await self._post(f"/v1/rollbacks/{_segment(rollback_id)}/result", result))

    async def report_signals(self, signals: Sequence[InferenceSignals]) -> SignalsTaken:
        """Report how subjects used models, up to 500 windows at once (`adapters.signals`)."""
        body = SignalReports(signals=list(signals))
        return read_answer(SignalsTaken, await self._post_once("/v1/behaviour/signals", body))

    async def judge_content(self, report: ContentReport) -> ContentAnswer:
        """Ask what becomes of a prompt or an answer, by what was found in it (`adapters.gateway.content`)."""
        return read_answer(ContentAnswer, await self._post("/v1/gateway/decisions", report))

    async def jwks(self) -> PublishedKeys:
        """Return the published keys that verify capabilities (RFC 7517), and how long they may be kept."""
        answer = await self._ask("GET", KEYS_PATH, is_proven=False)
        return read_keys_document(answer.body, answer.headers.get("Cache-Control", ""))

    def events(self, last_event_id: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ServerEvent]]:
        """Follow the security events (server-sent events), for as long as the context is entered and the stream lasts.

        `adapters.revocations.RevocationFeed` verifies them, resumes, and says how capabilities stand.

        Args:
            last_event_id: the last event that was seen; none for those that can still matter.
        """
        return self._stream("/v1/events", {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)})

    async def follow_revocations(
        self,
        wait_seconds: float = 0.0,
        *,
        issuer: str | None = None,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
    ) -> RevocationFeed:
        """Return a feed that follows revocations until it is closed, or this client is.

        Args:
            wait_seconds: how long to wait for the first word from the control plane.
            issuer: whose events are taken in; none for the control plane's URL.
            max_silence_seconds: without news for so long nothing is held good.
        """
        feed = RevocationFeed(self, issuer=issuer, max_silence_seconds=max_silence_seconds, clock=self.clock)
        self._feeds.append(feed)
        await feed.start(wait_seconds)
        return feed

    async def status_list(self, window: int) -> str:
        """Return a Token Status List as it is published; `adapters.revocations.StatusListPoller` verifies it."""
        return (await self._get(f"/v1/status-lists/{window}")).decode("ascii", errors="replace")

    async def readiness(self) -> Readiness:
        """Return whether the control plane can decide, part by part; a part that is missing raises nothing."""
        answer = await self._ask("GET", "/readyz", is_proven=False, welcome=(200, 503))
        return read_answer(Readiness, answer.body)
