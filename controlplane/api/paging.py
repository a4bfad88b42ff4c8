"""Where a search goes on: tokens that say nothing to whoever holds them, and work for one caller and one query.

A token holds the last name that was looked at, which the caller may not be allowed to know of, so it is sealed.
"""

import hashlib
from collections.abc import Callable

from pydantic import ValidationError

from controlplane.capabilities.errors import SealError
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.base import Digest, ResourceName, StrictModel, Timestamp
from controlplane.jose.jws import decode_segment, encode_segment

TOKEN_SECONDS = 600.0


class Cursor(StrictModel):
    """A place in the results of a query.

    Attributes:
        after: the last name that was looked at; none before the first.
        limit: results a page, as the caller asked; none for the default.
        properties: digest of what else the caller asked of the pages.
    """

    after: ResourceName | None = None
    limit: int | None = None
    properties: Digest


class _Sealed(Cursor):
    expires_at: Timestamp


class PageTokens:
    """Makes and reads page tokens; each holds for ten minutes.

    Args:
        sealer: seals them; replicas that share its key take each other's.
        clock: Unix seconds.
    """

    def __init__(self, sealer: Sealer, clock: Callable[[], float]) -> None:
        self._sealer = sealer
        self._clock = clock

    def make(self, cursor: Cursor, query: str) -> str:
        """Return the token of a place in the results of ``query`` (who asks what, as `digest_of` gives it)."""
        sealed = _Sealed(**cursor.model_dump(), expires_at=self._clock() + TOKEN_SECONDS)
        return encode_segment(self._sealer.seal(sealed.model_dump_json().encode(), _context(query))).decode()

    def read(self, token: str, query: str) -> Cursor | None:
        """Return the place that a token names; none when it has expired or was made for another query or caller."""
        try:
            opened = self._sealer.open(decode_segment(token.encode()), _context(query))
            found = _Sealed.model_validate_json(opened)
        except (ValueError, SealError, ValidationError):
            return None
        if found.expires_at <= self._clock():
            return None
        return Cursor(after=found.after, limit=found.limit, properties=found.properties)


def digest_of(text: str) -> str:
    """Return the digest of a text, as contracts write digests."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _context(query: str) -> str:
    return f"page {query}"
