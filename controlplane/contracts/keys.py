"""Signing keys: as they are kept, and as they are shown."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel, Thumbprint, Timestamp
from controlplane.contracts.events import Notice

KeyState = Literal["published", "signing", "retired", "gone", "withdrawn"]
"""Where a signing key stands in its life.

``published``: in the key set, and does not sign yet. ``signing``: the one that signs. ``retired``: in the key set until
all that it signed has expired. ``gone``: out of the key set for good. ``withdrawn``: taken out of the key set at once.
"""


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A signing key as the store keeps it.

    Attributes:
        kid: its thumbprint (RFC 7638).
        x: first coordinate of the public part, as in its JWK.
        y: second coordinate.
        sealed: the private part, sealed; empty once the key will never sign again.
        created_at: Unix seconds.
        signs_from: when it signs, Unix seconds; until the next one does.
        withdrawn_at: when it was withdrawn, Unix seconds; none while it was not.
    """

    kid: str
    x: str
    y: str
    sealed: bytes = field(repr=False)
    created_at: float
    signs_from: float
    withdrawn_at: float | None = None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to be written.

    Attributes:
        put: keys that are new, or that change: what is sealed, when it signs, when it was withdrawn.
        forget: identifiers of keys that are kept no longer.
        notice: what enforcement points are told of it.
    """

    put: tuple[KeptKey, ...] = ()
    forget: tuple[str, ...] = ()
    notice: Notice = field(default_factory=Notice)


class KeyStanding(StrictModel):
    """Where one signing key stands; nothing secret.

    Attributes:
        kid: its identifier in token headers and in the key set.
        created_at: when it was made.
        signs_from: since when, or from when, it signs.
        retired_at: when the next one took over.
        withdrawn_at: when it was withdrawn.
    """

    kid: Thumbprint
    state: KeyState
    created_at: Timestamp
    signs_from: Timestamp
    retired_at: Timestamp | None = None
    withdrawn_at: Timestamp | None = None


class KeyStandings(StrictModel):
    """The signing keys, in the order in which they sign."""

    keys: Annotated[list[KeyStanding], Field(max_length=1000)]


class KeyWithdrawal(StrictModel):
    """Why a key is withdrawn; it goes into the log and to enforcement points, so it names no secret."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x20-\x7e]+$")]
