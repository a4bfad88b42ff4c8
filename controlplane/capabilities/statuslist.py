"""Token Status Lists: one bit for each capability, for enforcement points that poll.

A capability's place follows from the decision behind it, so that minting writes nothing and every replica finds the
same place. Two capabilities may share one: then both count as revoked when one is, which is safe, and rare, for
lists are large and last ten minutes.

Within a byte the first place is the least significant bit; bytes are in their natural order (section 4.1).
"""

import hashlib
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache

from controlplane.contracts.capability import Status, StatusListReference
from controlplane.jose.jws import decode_segment

WINDOW_SECONDS = 600
"""A list holds the capabilities that were issued within one such window."""

LIST_BITS = 1 << 20
"""Places of one list."""

PATH = "/v1/status-lists"


def window_of(issued_at: float) -> int:
    """Return the number of the list that a capability of ``issued_at`` (Unix seconds) stands in."""
    return int(issued_at // WINDOW_SECONDS)


def place_of(decision_id: str) -> int:
    """Return the place of the capability that a decision led to."""
    return int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:8], "big") % LIST_BITS


def list_uri(issuer: str, window: int) -> str:
    """Return where a list is published."""
    return f"{issuer}{PATH}/{window}"


_uri = lru_cache(maxsize=4)(list_uri)


def status_of(issuer: str, decision_id: str, issued_at: float) -> Status:
    """Return the ``status`` claim of a capability."""
    uri = _uri(issuer, window_of(issued_at))
    return Status.of_trusted(status_list=StatusListReference.of_trusted(idx=place_of(decision_id), uri=uri))


def place_text(window: int, place: int) -> str:
    """Return where a capability stands, as one text: its list, and its place in it."""
    return f"{window}.{place}"


def read_place(text: str) -> tuple[int, int]:
    """Return the list and the place of a `place_text`."""
    window, _, place = text.partition(".")
    return int(window), int(place)


def compress(places: Iterable[int]) -> str:
    """Return a list in which ``places`` are set, as it is published: zlib in base64url."""
    raw = bytearray(LIST_BITS // 8)
    for place in places:
        raw[place // 8] |= 1 << place % 8
    return urlsafe_b64encode(zlib.compress(bytes(raw), 9)).rstrip(b"=").decode()


def decompress(lst: str) -> bytes:
    """Return the bytes of a published list; nothing larger is unpacked.

    Raises:
        ValueError: it is no list of the size that is used here.
    """
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(decode_segment(lst.encode("ascii")), LIST_BITS // 8 + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(raw) != LIST_BITS // 8 or not unpacking.eof or unpacking.unused_data:
        raise ValueError("not a list of the size that is used here")
    return raw


def is_set(raw: bytes, place: int) -> bool:
    """Whether a place is set.

    Raises:
        IndexError: there is no such place.
    """
    return bool(raw[place // 8] >> place % 8 & 1)
