"""Evidence of a platform: it answers a challenge once, is verified, and policy says what is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from controlplane.attestation.interface import MAX_KEPT, EvidenceRefused
from controlplane.attestation.results import make_claims, sign_result
from controlplane.contracts.attestation import (
    AttestationRequest,
    AttestationResult,
    AttestedObligation,
    Challenge,
    ChallengeRequest,
    EvidenceCause,
    ReleaseKey,
    SealingSuite,
)
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.decision import Decision
from controlplane.contracts.events import Initiator, Notice
from controlplane.contracts.identity import Device
from controlplane.decisions.examining import Examined, Examiner, cause_of, facts_of
from controlplane.decisions.verifying import Verifiers
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import SigningKey
from controlplane.storage.attestations import Attestations, OpenChallenge, Seen

PACKAGE = "attestation"

CHALLENGE_SECONDS = 120.0
"""How long a challenge is open where policy says nothing."""

RESULT_SECONDS = 300.0
"""How long a result counts where policy says nothing."""

Outcome = Literal["accepted", "denied", "contradicted", "undecided"]

_KEY_BYTES: Mapping[SealingSuite, int] = {"x25519": 32, "mlkem768-x25519": 1216}

_log = structlog.get_logger("ztfm.attestation")


class EndorsementRefused(Exception):  # noqa: N818 - named for what happened
    """Nobody vouches for the platform that a challenge is asked for; the message says why."""


class KeyUnreadable(Exception):  # noqa: N818 - named for what happened
    """A release key is no key of its suite."""


class Superseded(Exception):  # noqa: N818 - named for what happened
    """Meanwhile the device got another key, or was set apart, or something came that contradicts this."""


class Decides(Protocol):
    """Decides; `decisions.decider` does."""

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Return the recorded decision of a package."""
        ...


class Devices(Protocol):
    """The registry."""

    def changed(self, device_id: str) -> None:
        """Forget what is remembered of a device: it was changed in the store."""
        ...


class Announcer(Protocol):
    """Tells enforcement points what holds no more; `capabilities.revoking` does."""

    def subject_notice(
        self, subject: str, *, reason: str, initiator: Initiator = ..., txn: str | None = None
    ) -> Notice:
        """Return what is to be written in the transaction after which all that a subject holds is void."""
        ...

    def written(self, notice: Notice) -> None:
        """Have pushed what was written."""
        ...


class AttestationObserver(Protocol):
    """Counts evidence."""

    def challenged(self, kind: str) -> None:
        """A challenge was made."""
        ...

    def evidence_refused(self, kind: str, cause: EvidenceCause) -> None:
        """Evidence did not verify."""
        ...

    def evidence_verified(self, kind: str, seconds: float) -> None:
        """Evidence was verified within so many seconds."""
        ...

    def attested(self, kind: str, outcome: Outcome) -> None:
        """Policy said what is made of evidence, or could not be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Appraised:
    """What became of evidence.

    Attributes:
        decision: that says so.
        result: where it was accepted.
        words: why the evidence does not verify, for whoever showed it; empty where it does.
    """

    decision: Decision
    result: AttestationResult | None = None
    words: str = ""


class AttestationDesk:
    """The one way from evidence to what a device has proven.

    Args:
        verifiers: verify it.
        store: keeps challenges and results.
        decider: decides.
        devices: the registry.
        announcer: makes void what was given out for what counts no more.
        current: returns the key that signs now.
        issuer: the control plane's public URL.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        verifiers: Verifiers,
        store: Attestations,
        decider: Decides,
        devices: Devices,
        announcer: Announcer,
        current: Callable[[], SigningKey],
        issuer: str,
        observer: AttestationObserver,
        clock: Callable[[], float],
    ) -> None:
        self.verifiers = verifiers
        self._store, self._decider, self._devices, self._announcer = store, decider, devices, announcer
        self._current, self._issuer, self._observer, self._clock = current, issuer, observer, clock
        self._examiner = Examiner(verifiers, store, observer)

    async def challenge(self, device: Device, request: ChallengeRequest, seconds: float | None) -> Challenge:
        """Make a challenge for a device.

        Args:
            device: that asks.
            request: for which kind of evidence, and with which endorsement.
            seconds: how long it is open; none for `CHALLENGE_SECONDS`.

        Raises:
            KindUnknown: that kind is not verified here.
            EndorsementRefused: nobody vouches for the platform.
            NotVerified: that cannot be said.
            StoreUnavailable: the store failed.
        """
        verifier = await self.verifiers.of(request.kind)
        now = self._clock()
        members, kept = None, None
        if request.endorsement is not None:
            try:
                endorsement = await self.verifiers.endorse(verifier, request.endorsement, now)
            except EvidenceRefused as error:
                self._observer.evidence_refused(request.kind, cause_of(error.cause))
                raise EndorsementRefused(error.words) from None
            if len(endorsement.kept) > MAX_KEPT:
                raise ValueError(f"the verifier for {request.kind} keeps more than {MAX_KEPT} bytes with a challenge")
            members = {name: encode_segment(value).decode() for name, value in endorsement.members.items()}
            kept = endorsement.kept
        expires_at = now + (seconds or CHALLENGE_SECONDS)
        made = await self._store.challenge(device.id, request.kind, now, expires_at, kept)
        self._observer.challenged(request.kind)
        return Challenge(id=made.id, nonce=made.nonce, expires_at=expires_at, credential=members)

    async def attest(self, device: Device, request: AttestationRequest, address: str) -> Appraised:
        """Appraise evidence and do what is decided. Its challenge is used up, whatever comes of it.

        Args:
            device: that shows it.
            request: untrusted.
            address: where it came from.

        Raises:
            KindUnknown: that kind is not verified here.
            KeyUnreadable: the release key is no key of its suite.
            NotVerified: it cannot be said whether it verifies; nothing was decided.
            Superseded: what is newer contradicts it; nothing was kept.
            AuditUnavailable, StoreUnavailable, NoSigningKey: nothing was kept.
        """
        verifier = await self.verifiers.of(request.kind)
        if request.release_key is not None:
            _require_readable(request.release_key)
        now = self._clock()
        challenge = await self._store.take(request.challenge, device.id)
        if challenge is not None and not (challenge.kind == request.kind and now < challenge.expires_at):
            challenge = None
        found = await self._examiner.examine(verifier, device, request, challenge, now)
        if found.cause:
            self._observer.evidence_refused(request.kind, found.cause)
        decision = await self._decider.decide(
            PACKAGE, facts_of(device, request, challenge, found, address, self._clock())
        )
        attested = decision.obligations.attested
        if decision.allowed and attested is not None and challenge is not None and found.claims is not None:
            result = await self._accept(device, request, challenge, found, decision, attested, now)
            return Appraised(decision, result)
        if decision.allowed:
            raise ValueError("policy accepts evidence, and does not say what it proves")
        await self._deny(device, request, found, decision, now)
        return Appraised(decision, words=found.words)

    async def results(self, device_id: str) -> list[KeptResult]:
        """Return what became of a device's latest evidence, one a kind.

        Raises:
            StoreUnavailable: the store failed.
        """
        return await self._store.of(device_id)

    async def _accept(
        self,
        device: Device,
        request: AttestationRequest,
        challenge: OpenChallenge,
        found: Examined,
        decision: Decision,
        attested: AttestedObligation,
        now: float,
    ) -> AttestationResult:
        claims, platform, others = found.claims, found.platform, found.others
        if claims is None or platform is None or others is None:
            raise ValueError("policy accepts evidence of a platform that nobody looked at")
        # Whole seconds, as the signed result has them.
        expires_at = float(int(now + (decision.obligations.lifetime_seconds or RESULT_SECONDS)))
        stated = make_claims(
            issuer=self._issuer,
            subject=device.id,
            decision_id=decision.id,
            kind=request.kind,
            nonce=challenge.nonce,
            thumbprint=device.key_thumbprint,
            policy=decision.policy_revision,
            obligation=attested,
            issued_at=now,
            expires_at=expires_at,
            release_key=request.release_key,
        )
        signed = sign_result(self._current(), stated)
        kept = KeptResult(
            kind=request.kind,
            level=attested.level,
            reference=attested.reference,
            platform=claims.platform,
            verified_at=now,
            expires_at=expires_at,
            release_key=request.release_key,
            decision_id=decision.id,
            result=signed,
        )
        try:
            is_kept = await self._store.keep(
                device.id, device.key_thumbprint, kept, Seen(challenge.made_at, platform, others)
            )
        finally:
            self._devices.changed(device.id)
        if not is_kept:
            raise Superseded(
                "another key or later evidence of this device, or another device's of its platform, came first, or the "
                "device was set apart: attest again"
            )
        self._observer.attested(request.kind, "accepted")
        _log.info("attested", device=device.id, kind=request.kind, level=attested.level, decision_id=decision.id)
        return AttestationResult(
            decision_id=decision.id,
            kind=request.kind,
            level=attested.level,
            reference=attested.reference,
            verified_at=now,
            expires_at=expires_at,
            result=signed,
        )

    async def _deny(
        self, device: Device, request: AttestationRequest, found: Examined, decision: Decision, now: float
    ) -> None:
        if decision.outcome == "error":
            self._observer.attested(request.kind, "undecided")
            return
        if not decision.obligations.withdraw_attestation or found.claims is None:
            self._observer.attested(request.kind, "denied")
            return
        contradiction = KeptResult(
            kind=request.kind,
            level="none",
            reference="",
            platform=found.claims.platform,
            verified_at=now,
            expires_at=now,
            decision_id=decision.id,
            result="",
        )
        reason = "What its platform had proven counts no more."
        notice = self._announcer.subject_notice(device.id, reason=reason, initiator="policy", txn=decision.id)
        try:
            had = await self._store.withdraw(device.id, device.key_thumbprint, contradiction, notice)
        finally:
            self._devices.changed(device.id)
        if had:
            self._announcer.written(notice)
        self._observer.attested(request.kind, "contradicted")
        _log.warning(
            "attestation_contradicted",
            device=device.id,
            kind=request.kind,
            had_proven=had,
            differences=[one.claim for reason in decision.reasons for one in reason.differences],
            decision_id=decision.id,
            remedy="docs/runbooks/ZtfmAttestationContradicted.md",
        )


def _require_readable(key: ReleaseKey) -> None:
    """Return if a release key may be one of its suite; whether it is one, whoever seals to it finds out.

    Raises:
        KeyUnreadable: it is none.
    """
    try:
        has = len(decode_segment(key.key.encode()))
    except ValueError:
        raise KeyUnreadable("The release key is no base64url without padding.") from None
    if has != _KEY_BYTES[key.suite]:
        raise KeyUnreadable(f"A release key of {key.suite} has {_KEY_BYTES[key.suite]} bytes; this one has {has}.")
