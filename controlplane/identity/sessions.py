"""Who is signed in to the console: an opaque secret in a browser's cookie, of which the store knows the hash alone.

A session says who somebody is and nothing else. What they may do is decided at each request, by what is known of them
then (OWASP session management, NIST SP 800-63B section 5).
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from controlplane.contracts.console import MAX_SESSION_SECONDS, SESSION_BYTES, KeptSession
from controlplane.contracts.identity import Caller, Person

NOTED_SECONDS = 60.0
"""How exactly it is known when a session was used last: not every request writes."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class SessionStore(Protocol):
    """Keeps sessions; `storage.sessions` does."""

    async def begin(self, digest: str, session: KeptSession, sign_in: str | None = None) -> int | None:
        """Keep a session; return how many older ones were ended, or none where its sign-in has begun one before."""
        ...

    async def get(self, digest: str) -> KeptSession | None:
        """Return a session, ended or not, or none."""
        ...

    async def use(self, digest: str, now: float) -> None:
        """Note that it was used."""
        ...

    async def end(self, digest: str, now: float) -> bool:
        """End it; false when there is none that had not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that somebody has begun.

    Attributes:
        secret: for their browser, and for nobody's log.
        session: what is kept of it.
        displaced: older sessions of theirs that ended because of it.
    """

    secret: str
    session: KeptSession
    displaced: int

    def __repr__(self) -> str:
        return f"Begun(subject={self.session.subject!r})"


class Sessions:
    """Begins, finds and ends sessions.

    Args:
        store: keeps them, for all replicas.
        clock: Unix seconds.
    """

    def __init__(self, store: SessionStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def begin(
        self, caller: Caller, lasts_seconds: float, idle_seconds: float, sign_in: str | None = None
    ) -> Begun | None:
        """Return a new session, which is nobody's but the caller's; none where its sign-in has begun one before.

        Args:
            caller: who signed in.
            lasts_seconds: until it ends in any case; at most a day.
            idle_seconds: so long without use end it.
            sign_in: digest of the sign-in, where that counts once.

        Raises:
            StoreUnavailable: the store failed.
        """
        now = self._clock()
        secret = urlsafe_b64encode(secrets.token_bytes(SESSION_BYTES)).rstrip(b"=").decode()
        ends_at = now + min(lasts_seconds, MAX_SESSION_SECONDS)
        session = KeptSession(
            subject=caller.id,
            person=_lasting(caller, ends_at),
            key_thumbprint=None if isinstance(caller, Person) else caller.key_thumbprint,
            begun_at=now,
            used_at=now,
            idle_seconds=min(idle_seconds, MAX_SESSION_SECONDS),
            ends_at=ends_at,
        )
        displaced = await self._store.begin(digest_of(secret), session, sign_in)
        return None if displaced is None else Begun(secret, session, displaced)

    async def find(self, secret: str) -> KeptSession | None:
        """Return the session of a browser that has not ended, and note that it is used; none where there is none.

        Args:
            secret: what the browser showed, whatever it is.

        Raises:
            StoreUnavailable: the store failed.
        """
        if not _SECRET.fullmatch(secret):
            return None
        digest, now = digest_of(secret), self._clock()
        found = await self._store.get(digest)
        if found is None or not found.holds_at(now):
            return None
        if now - found.used_at >= min(NOTED_SECONDS, found.idle_seconds / 4):
            await self._store.use(digest, now)
        return found

    async def end(self, secret: str) -> bool:
        """End a session; false when there was none any more.

        Raises:
            StoreUnavailable: the store failed.
        """
        return bool(_SECRET.fullmatch(secret)) and await self._store.end(digest_of(secret), self._clock())


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret of 256 random bits in hex; it cannot be searched for, and needs no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _lasting(caller: Caller, until: float) -> Person | None:
    # What the provider's token bounds is signing in; how long it counts from then on, policy has said.
    return caller.model_copy(update={"expires_at": until}) if isinstance(caller, Person) else None
