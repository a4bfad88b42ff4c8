"""What is void, in memory: for the control plane itself and for every enforcement point that follows its events."""

import heapq
from collections.abc import Callable
from threading import Lock
from typing import Literal, Protocol

from controlplane.contracts.capability import MAX_LIFETIME_SECONDS, CapabilityClaims
from controlplane.contracts.events import (
    REACH_SECONDS,
    CredentialChange,
    JwtSubject,
    Revocation,
    RevocationKind,
    SecurityEvent,
)

Standing = Literal["good", "revoked", "unknown"]
"""How a capability stands. Only ``good`` lets anything pass."""

CLOCKS_SECONDS = 60.0
"""How far clocks may be apart: so much longer than any capability lives is a revocation remembered."""

KEY_SECONDS = 86_400.0
"""A withdrawn key is remembered for a day. Its holder dates capabilities as they like, but by then no verifier that
fetches the published keys has it any more."""

_Entry = tuple[RevocationKind, str]


class Standings(Protocol):
    """Knows how capabilities stand."""

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        """Return how a capability stands that was signed with the key ``kid`` and holds otherwise."""
        ...


class RevocationState:
    """What is void, for as long as it can matter. Safe to share between threads.

    It holds nothing good before it was told that it is current, nor when that is longer ago than
    ``max_silence_seconds``. When it has no room left it distrusts everything that was issued until then.

    Args:
        clock: Unix seconds.
        timer: seconds, never stepping back.
        max_silence_seconds: how long it may be relied on without news.
        capacity: revocations kept at most, about 300 bytes each.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        timer: Callable[[], float],
        *,
        max_silence_seconds: float = 10.0,
        capacity: int = 100_000,
    ) -> None:
        if capacity < 1 or max_silence_seconds <= 0:
            raise ValueError("revocations need room for at least one, and a silence that is longer than 0 s")
        self._clock = clock
        self._timer = timer
        self._max_silence = max_silence_seconds
        self._capacity = capacity
        self._void: dict[_Entry, tuple[float, float]] = {}
        self._due: list[tuple[float, _Entry]] = []
        self._distrusted = 0.0
        self._heard_at: float | None = None
        self._lock = Lock()

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        """Return how a capability stands that was signed with the key ``kid`` and holds otherwise."""
        void = self._void
        if ("capability", claims.jti) in void or ("key", kid) in void:
            return "revoked"
        until = void.get(("subject", claims.sub))
        if until is not None and claims.iat <= until[0]:
            return "revoked"
        return "good" if self.is_current and claims.iat > self._distrusted else "unknown"

    def standing_of(self, jti: str, issued_at: float) -> Standing:
        """Return how one token stands by itself, whatever became of its subject or of the key that signed it."""
        if ("capability", jti) in self._void:
            return "revoked"
        return "good" if self.is_current and issued_at > self._distrusted else "unknown"

    def is_distrusted(self, issued_at: float) -> bool:
        """Whether nothing is held good that was issued then, whatever is known of it by itself."""
        return issued_at <= self._distrusted

    def ended_until(self, subject: str) -> float:
        """Return until when (Unix seconds) what a subject is given is void from the start; 0 when it never ended."""
        return self._void.get(("subject", subject), (0.0, 0.0))[0]

    def is_overtaken(self, subject: str, since: float, now: float) -> bool:
        """Whether a subject ended after ``since``, and so long ago that what is minted at ``now`` would not be void.

        What ends a subject reaches a little into the future, for those who were asking policy meanwhile. Whoever was
        held up for longer must not mint.
        """
        return since <= self.ended_until(subject) < now

    @property
    def is_current(self) -> bool:
        """Whether there was news, or word that there is none, within ``max_silence_seconds``."""
        heard = self._heard_at
        return heard is not None and 0.0 <= self._timer() - heard <= self._max_silence

    def hear(self, age_seconds: float = 0.0) -> None:
        """Everything that happened until ``age_seconds`` ago is known here."""
        self._heard_at = self._timer() - max(0.0, age_seconds)

    def doubt(self) -> None:
        """Hold nothing good until `hear` is called again."""
        self._heard_at = None

    def distrust(self, issued_until: float) -> None:
        """Hold nothing good that was issued at or before ``issued_until`` (Unix seconds)."""
        with self._lock:
            self._distrusted = max(self._distrusted, issued_until)

    def add(self, revocation: Revocation) -> None:
        """Take in a revocation as it is kept."""
        if revocation.kind != "place":
            self._keep((revocation.kind, revocation.value), revocation.revoked_at, revocation.expires_at)

    def apply(self, event: SecurityEvent) -> None:
        """Take in an event; one that makes nothing void changes nothing."""
        events, about = event.events, event.sub_id
        if events.reset is not None:
            self.distrust(events.reset.event_timestamp)
        happened = events.caep
        if happened is None:
            return
        at = happened.event_timestamp
        if isinstance(about, JwtSubject):
            if events.session_revoked is not None:
                self._keep(("capability", about.jti), at, capability_expiry(at))
        elif isinstance(happened, CredentialChange) and happened.credential_type == "signing-key":
            if happened.change_type in {"revoke", "delete"}:
                self._keep(("key", about.id), at, at + KEY_SECONDS)
        elif is_ending(event) or is_rekeying(event):
            self._keep(("subject", about.id), at + REACH_SECONDS, subject_expiry(at))

    def __len__(self) -> int:
        return len(self._void)

    def _keep(self, entry: _Entry, revoked_at: float, expires_at: float) -> None:
        with self._lock:
            self._forget()
            known = self._void.get(entry)
            if known is not None:
                revoked_at, expires_at = max(known[0], revoked_at), max(known[1], expires_at)
                if known == (revoked_at, expires_at):
                    return
            elif len(self._void) >= self._capacity:
                self._overflow()
            self._void[entry] = revoked_at, expires_at
            heapq.heappush(self._due, (expires_at, entry))

    def _forget(self) -> None:
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            due, entry = heapq.heappop(self._due)
            if self._void.get(entry, (0.0, 0.0))[1] == due:
                del self._void[entry]

    def _overflow(self) -> None:
        # First, for whoever reads meanwhile: what is about to be forgotten is distrusted already.
        self._distrusted = max(self._distrusted, self._clock() + REACH_SECONDS)
        # Withdrawn keys stay: whoever holds one dates capabilities as they like.
        self._void = {entry: until for entry, until in self._void.items() if entry[0] == "key"}
        self._due = sorted((until[1], entry) for entry, until in self._void.items())
        while len(self._void) >= self._capacity:
            del self._void[next(iter(self._void))]


def is_ending(event: SecurityEvent) -> bool:
    """Whether an event ends whatever its subject holds."""
    events = event.events
    if events.device_compliance_change is not None:
        return events.device_compliance_change.current_status == "not-compliant"
    if events.credential_change is not None:
        return events.credential_change.change_type in {"revoke", "delete"}
    return events.session_revoked is not None


def is_rekeying(event: SecurityEvent) -> bool:
    """Whether an event says that its subject has another key: whatever it holds with the one before is void."""
    changed = event.events.credential_change
    return changed is not None and (changed.credential_type, changed.change_type) == ("device-key", "update")


def capability_expiry(at: float) -> float:
    """Return until when a capability must be remembered that was revoked at ``at`` (Unix seconds)."""
    return at + MAX_LIFETIME_SECONDS + CLOCKS_SECONDS


def subject_expiry(at: float) -> float:
    """Return until when it must be remembered that a subject's capabilities ended at ``at`` (Unix seconds)."""
    return at + REACH_SECONDS + MAX_LIFETIME_SECONDS + CLOCKS_SECONDS
