"""Revoke: what is void from now on is written together with the event that says so, and pushed at once."""

import secrets
from collections.abc import Callable, Collection
from typing import Protocol

from controlplane.capabilities.revocations import (
    KEY_SECONDS,
    RevocationState,
    Standing,
    capability_expiry,
    subject_expiry,
)
from controlplane.capabilities.statuslist import place_of, place_text, window_of
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.events import (
    REACH_SECONDS,
    CredentialChange,
    CredentialKind,
    DeviceComplianceChange,
    Events,
    Initiator,
    JwtSubject,
    Notice,
    OpaqueSubject,
    Revocation,
    SecurityEvent,
    SessionRevoked,
    SubjectId,
)
from controlplane.contracts.identity import DeviceStatus


class RevocationStore(Protocol):
    """Keeps what is void, and the events that say so."""

    async def add(self, notice: Notice) -> None:
        """Keep revocations and events in one transaction: all of them, or none."""
        ...


class RevocationObserver(Protocol):
    """Counts."""

    def revoked(self, kind: str) -> None:
        """Something of ``kind`` (capability, subject, key) is void."""
        ...

    def announced(self, kind: str) -> None:
        """An event of ``kind`` (as `EventKind`) was written."""
        ...


class Revoker:
    """Revokes capabilities, all of a subject's, and signing keys, for every replica and enforcement point.

    What it was told to revoke is void in this process when a call returns, in other replicas and at the
    enforcement points that follow the events within a second. Every call raises what the store raises; then nothing
    was revoked, and trying again is safe. Revoking twice does no harm.

    Args:
        store: keeps revocations and events.
        state: what is void as this process knows it.
        issuer: the control plane's public URL.
        clock: Unix seconds.
        observer: counts.
        wake: has the kept events pushed now.
    """

    def __init__(
        self,
        store: RevocationStore,
        state: RevocationState,
        issuer: str,
        clock: Callable[[], float],
        observer: RevocationObserver,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._state = state
        self._issuer = issuer
        self._clock = clock
        self._observer = observer
        self._wake = wake

    async def revoke_capability(
        self,
        jti: str,
        exp: float,
        decision_id: str,
        issued_at: float,
        *,
        reason: str,
        initiator: Initiator = "admin",
    ) -> None:
        """Make one capability void (RFC 7009): a session-revoked event, and its bit in the status list.

        Args:
            jti: its id.
            exp: when it would expire by itself (Unix seconds).
            decision_id: the decision behind it.
            issued_at: its ``iat``.
            reason: for operators; it holds no token, and nothing that a stranger wrote.
            initiator: ``user`` when its own holder gives it back.
        """
        now = self._clock()
        place = place_text(window_of(issued_at), place_of(decision_id))
        until = max(exp, capability_expiry(now))
        event = SessionRevoked(event_timestamp=now, initiating_entity=initiator, reason_admin={"en": reason})
        about = JwtSubject(format="jwt_id", iss=self._issuer, jti=jti)
        await self._write(
            Notice(
                revocations=[
                    Revocation(kind="capability", value=jti, revoked_at=now, expires_at=until),
                    Revocation(kind="place", value=place, revoked_at=now, expires_at=until),
                ],
                events=[SecurityEvent(txn=decision_id, sub_id=about, events=Events(session_revoked=event))],
            )
        )

    async def revoke_subject(
        self, subject: str, *, reason: str, initiator: Initiator = "admin", txn: str | None = None
    ) -> None:
        """Make every capability void that a subject holds, and those it gets within the next two seconds.

        Its status stays: what it is given after that holds. To shut it out, set its status (`Registry.set_status`),
        which does this as well.
        """
        await self._write(self.subject_notice(subject, reason=reason, initiator=initiator, txn=txn))

    def subject_notice(
        self, subject: str, *, reason: str, initiator: Initiator = "admin", txn: str | None = None
    ) -> Notice:
        """Return what `revoke_subject` writes, for a store that writes more in the same transaction."""
        now = self._clock()
        event = SessionRevoked(event_timestamp=now, initiating_entity=initiator, reason_admin={"en": reason})
        events = [SecurityEvent(txn=txn or new_txn(), sub_id=_opaque(subject), events=Events(session_revoked=event))]
        return Notice(revocations=[_subject(subject, now)], events=events)

    async def withdraw_key(self, kid: str, *, reason: str) -> None:
        """Make everything void that a signing key signed, from now on: a credential-change event.

        Whoever withdraws a key must sign with another one before: the event has to be signed.
        """
        await self._write(self.key_notice(kid, reason=reason))

    def key_notice(self, kid: str, *, reason: str) -> Notice:
        """Return what `withdraw_key` writes, for a store that writes more in the same transaction."""
        return key_notice(kid, reason, self._clock())

    async def revoke_credential(self, subject: str, kind: CredentialKind, *, reason: str) -> None:
        """Announce that a subject's key or certificate is no longer good; its capabilities are void with it."""
        now = self._clock()
        event = _credential(now, kind, reason)
        about = SecurityEvent(txn=new_txn(), sub_id=_opaque(subject), events=Events(credential_change=event))
        await self._write(Notice(revocations=[_subject(subject, now)], events=[about]))

    async def emit(self, sub_id: SubjectId, events: Events, *, txn: str | None = None) -> None:
        """Push an event that makes nothing void by itself at the control plane."""
        await self._write(Notice(events=[SecurityEvent(txn=txn or new_txn(), sub_id=sub_id, events=events)]))

    def status_notice(
        self, subjects: Collection[str], status: DeviceStatus, *, initiator: Initiator, txn: str | None = None
    ) -> Notice:
        """Return what is to be written in one transaction with a change of subjects' status.

        Set apart is a device-compliance-change, let back in another; revoked is a session-revoked and a
        credential-change. Whoever is no longer active holds nothing that is good.
        """
        return status_notice(subjects, status, self._clock(), initiator, txn)

    def rotation_notice(self, subject: str) -> Notice:
        """Return what is to be written in one transaction with the change of a subject's own key."""
        return rotation_notice(subject, self._clock())

    def written(self, notice: Notice) -> None:
        """Take in what somebody else's transaction wrote, and have it pushed."""
        for revocation in notice.revocations:
            self._state.add(revocation)
            if revocation.kind != "place":
                self._observer.revoked(revocation.kind)
        for event in notice.events:
            if event.events.kind is not None:
                self._observer.announced(event.events.kind)
        self._wake()

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        """Return how a capability stands; ``unknown`` while the store cannot be read."""
        return self._state.standing(claims, kid)

    def standing_of(self, jti: str, issued_at: float) -> Standing:
        """Return how an access token for this API stands by itself; its subject is looked up at each use."""
        return self._state.standing_of(jti, issued_at)

    def is_overtaken(self, subject: str, since: float) -> bool:
        """Whether a capability minted now, from what was known of a subject at ``since``, could outlive its end."""
        return self._state.is_overtaken(subject, since, self._clock())

    def has_ended(self, subject: str, since: float) -> bool:
        """Whether a subject ended at ``since`` (Unix seconds) or later; for what cannot be called back."""
        return since <= self._state.ended_until(subject) - REACH_SECONDS

    def is_revoked(self, claims: CapabilityClaims, kid: str = "") -> bool:
        """Whether a capability must not be relied on: it is void, or nobody can tell."""
        return self._state.standing(claims, kid) != "good"

    async def _write(self, notice: Notice) -> None:
        await self._store.add(notice)
        self.written(notice)


def key_notice(kid: str, reason: str, now: float) -> Notice:
    """Return what is written when a signing key is withdrawn at ``now`` (Unix seconds)."""
    event = CredentialChange(
        event_timestamp=now,
        initiating_entity="admin",
        reason_admin={"en": reason},
        credential_type="signing-key",
        change_type="revoke",
    )
    void = Revocation(kind="key", value=kid, revoked_at=now, expires_at=now + KEY_SECONDS)
    about = SecurityEvent(txn=new_txn(), sub_id=_opaque(kid), events=Events(credential_change=event))
    return Notice(revocations=[void], events=[about])


def status_notice(
    subjects: Collection[str], status: DeviceStatus, now: float, initiator: Initiator, txn: str | None = None
) -> Notice:
    """Return what is written when subjects' status changes at ``now`` (Unix seconds)."""
    notice = Notice()
    for subject in sorted(subjects):
        shared = txn or new_txn()
        for events in _status_events(status, now, initiator):
            notice.events.append(SecurityEvent(txn=shared, sub_id=_opaque(subject), events=events))
        if status != "active":
            notice.revocations.append(_subject(subject, now))
    return notice


def rotation_notice(subject: str, now: float) -> Notice:
    """Return what is written when a subject gives itself another key at ``now`` (Unix seconds).

    What the old key holds is void, and what is minted for it within the next two seconds.
    """
    event = CredentialChange(
        event_timestamp=now,
        initiating_entity="user",
        reason_admin={"en": "The subject has another key."},
        credential_type="device-key",
        change_type="update",
    )
    about = SecurityEvent(txn=new_txn(), sub_id=_opaque(subject), events=Events(credential_change=event))
    return Notice(revocations=[_subject(subject, now)], events=[about])


def new_txn() -> str:
    """Return an identifier for a cause that has none (SSF section 4.1.10)."""
    return f"txn-{secrets.token_hex(16)}"


def _opaque(name: str) -> OpaqueSubject:
    return OpaqueSubject(format="opaque", id=name)


def _subject(subject: str, now: float) -> Revocation:
    return Revocation(kind="subject", value=subject, revoked_at=now + REACH_SECONDS, expires_at=subject_expiry(now))


def _credential(now: float, kind: CredentialKind, reason: str, initiator: Initiator = "admin") -> CredentialChange:
    return CredentialChange(
        event_timestamp=now,
        initiating_entity=initiator,
        reason_admin={"en": reason},
        credential_type=kind,
        change_type="revoke",
    )


def _status_events(status: DeviceStatus, now: float, initiator: Initiator) -> list[Events]:
    if status == "revoked":
        reason = "The subject was revoked."
        revoked = SessionRevoked(event_timestamp=now, initiating_entity=initiator, reason_admin={"en": reason})
        return [
            Events(session_revoked=revoked),
            Events(credential_change=_credential(now, "device-key", reason, initiator)),
        ]
    is_active = status == "active"
    change = DeviceComplianceChange(
        event_timestamp=now,
        initiating_entity=initiator,
        reason_admin={"en": "The subject was let back in." if is_active else "The subject was set apart."},
        previous_status="not-compliant" if is_active else "compliant",
        current_status="compliant" if is_active else "not-compliant",
    )
    return [Events(device_compliance_change=change)]
