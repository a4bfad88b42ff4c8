"""What clients and server send each other, strict and bounded. Clients are numbered by their place in the roster.

Everything but a masked vector is JSON; a masked vector follows its short head as it is in memory.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from adapters.secureaggregation.parameters import MOST_CLIENTS
from controlplane.contracts.base import Identifier, StrictModel
from controlplane.contracts.unambiguous import read_json

MOST_TOKEN_CHARS = 2048

Place = Annotated[int, Field(ge=0, lt=MOST_CLIENTS)]
"""Of a client in the roster."""

Places = Annotated[list[Place], Field(max_length=MOST_CLIENTS)]

SignedToken = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TOKEN_CHARS)]

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 bytes in base64url: a public key, or a SHA-256 digest."""

ShareText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{44}$")]
"""33 bytes in base64url: a share."""

Box = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{110}$")]
"""Two shares under an authenticated cipher, 82 bytes in base64url."""

Stage = Literal["advertise", "share", "mask", "agree", "reveal"]
"""What clients do, in this order."""


class Advertised(StrictModel):
    """What a client signs first.

    Attributes:
        session: digest of the session.
        subject: who it is.
        mask_key: X25519; masks are agreed on with it, and it comes to light when the client drops out.
        channel_key: X25519; shares are sealed with it, and its private half never leaves the client.
    """

    session: Key
    subject: Identifier
    mask_key: Key
    channel_key: Key


class Advertisement(StrictModel):
    """A client takes part.

    Attributes:
        token: `Advertised`, signed.
    """

    token: SignedToken


class Roster(StrictModel):
    """Who takes part.

    Attributes:
        tokens: what each advertised, ordered by name.
    """

    tokens: Annotated[list[SignedToken], Field(max_length=MOST_CLIENTS)]


class SealedShares(StrictModel):
    """Shares of a client's two secrets, for one that it picked.

    Attributes:
        place: of whom they are for, or in a delivery, of whom they are from.
        box: both shares, sealed.
        key_mark: digest of the share of the mask key.
        seed_mark: digest of the share of the seed.
    """

    place: Place
    box: Box
    key_mark: Key
    seed_mark: Key


class Sharing(StrictModel):
    """A client's secrets, in shares.

    Attributes:
        shares: one for each that it picked, in the order of the roster; the place among them is the share's point.
        seed_mark: digest of the seed.
    """

    shares: Annotated[list[SealedShares], Field(min_length=1, max_length=MOST_CLIENTS)]
    seed_mark: Key


class Delivery(StrictModel):
    """What a client masks against.

    Attributes:
        sharers: who shared; these alone may be in the sum.
        shares: for this client.
    """

    sharers: Places
    shares: Annotated[list[SealedShares], Field(max_length=MOST_CLIENTS)]


@dataclass(frozen=True)
class Masked:
    """A client's values under its masks.

    Attributes:
        vector: words of the session's size, little-endian.
        unusable: those whose shares this client could not open, or which are not what they are marked as.
    """

    vector: bytes | memoryview
    unusable: tuple[int, ...] = ()


class Survivors(StrictModel):
    """Whose masked values arrived.

    Attributes:
        places: of them.
    """

    places: Places


class SurvivorsSeen(StrictModel):
    """What a client signs before it reveals anything.

    Attributes:
        session: digest of the session.
        subject: who it is.
        seen: digest of roster, sharers and survivors.
    """

    session: Key
    subject: Identifier
    seen: Key


class Agreement(StrictModel):
    """A client's word on who is in the sum.

    Attributes:
        token: `SurvivorsSeen`, signed.
    """

    token: SignedToken


class Agreed(StrictModel):
    """The word of a quorum.

    Attributes:
        tokens: of its members.
    """

    tokens: Annotated[list[SignedToken], Field(max_length=MOST_CLIENTS)]


class Share(StrictModel):
    """A share that comes to light.

    Attributes:
        owner: whose secret it is of.
        share: of it.
    """

    owner: Place
    share: ShareText


class Revealed(StrictModel):
    """What a client held for others: of each one of two secrets, never both.

    Attributes:
        seeds: of those in the sum.
        keys: of those who shared and are not in it.
    """

    seeds: Annotated[list[Share], Field(max_length=MOST_CLIENTS)]
    keys: Annotated[list[Share], Field(max_length=MOST_CLIENTS)]


Message = Advertisement | Roster | Sharing | Delivery | Survivors | Agreement | Agreed | Revealed

M = TypeVar("M", Advertisement, Roster, Sharing, Delivery, Survivors, Agreement, Agreed, Revealed)

_HEAD_BYTES = 4
_MOST_HEAD = 64 * 1024


def write(message: Message) -> bytes:
    """Return a message as it travels."""
    return message.model_dump_json().encode()


def read(kind: type[M], raw: bytes) -> M | None:
    """Return a message of a kind, or none where it is something else; of 64 MiB at most."""
    if len(raw) > 64 * 1024 * 1024:
        return None
    try:
        return kind.model_validate(read_json(raw))
    except (ValidationError, ValueError, RecursionError):
        return None


def write_masked(message: Masked) -> bytes:
    """Return a masked vector as it travels: the length of its head, its head, its words."""
    head = json.dumps({"unusable": list(message.unusable)}).encode()
    return b"".join((len(head).to_bytes(_HEAD_BYTES, "big"), head, message.vector))


def read_masked(raw: bytes, vector_bytes: int) -> Masked | None:
    """Return a masked vector, or none where it is something else.

    Args:
        raw: as it travelled; the vector is a view of it.
        vector_bytes: that it has.
    """
    size = int.from_bytes(raw[:_HEAD_BYTES], "big")
    if size > _MOST_HEAD or len(raw) != _HEAD_BYTES + size + vector_bytes:
        return None
    try:
        head = _MaskedHead.model_validate(read_json(raw[_HEAD_BYTES : _HEAD_BYTES + size]))
    except (ValidationError, ValueError, RecursionError):
        return None
    return Masked(memoryview(raw)[_HEAD_BYTES + size :], tuple(head.unusable))


class _MaskedHead(StrictModel):
    unusable: Places
