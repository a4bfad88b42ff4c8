"""What secure aggregation can raise: one root, and what a caller may do about each."""

from collections.abc import Sequence
from typing import Literal

Cause = Literal[
    "bad_shares",
    "declined",
    "implausible",
    "malformed",
    "not_agreed",
    "out_of_order",
    "too_few",
    "unlike_roster",
    "unlike_session",
]
"""Why a sum was given up, or a message refused; bounded, for metrics."""


class SecureAggregationError(Exception):
    """The root of this family."""


class Unsafe(SecureAggregationError):  # noqa: N818 - what the parameters are
    """No parameters are safe for so few clients, colluders or dropouts: ask more to take part, or tolerate less."""


class Aborted(SecureAggregationError):  # noqa: N818 - what became of the sum
    """The sum was given up; nothing of any client's values is known. Begin a new session, without those to blame.

    Attributes:
        cause: why.
        blamed: whose messages show that they did not keep to the protocol; may be empty.
    """

    def __init__(self, cause: Cause, message: str, blamed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.blamed = tuple(blamed)
