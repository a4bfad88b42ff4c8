"""Token Status Lists: one bit for each capability, for enforcement points that poll.

A capability's place follows from the decision behind it, so that minting writes nothing and every replica finds the
same place. Two capabilities may share one: then both count as revoked when one is, which is safe, and rare, for
lists are large and last ten minutes.
"""

import hashlib

from controlplane.contracts.capability import Status, StatusListReference

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


def status_of(issuer: str, decision_id: str, issued_at: float) -> Status:
    """Return the ``status`` claim of a capability."""
    uri = f"{issuer}{PATH}/{window_of(issued_at)}"
    return Status(status_list=StatusListReference(idx=place_of(decision_id), uri=uri))
