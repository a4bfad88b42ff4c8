"""Read a roster: whose keys are in it, whether they may take part, and what parameters follow."""

from collections.abc import Collection
from dataclasses import dataclass

from adapters.secureaggregation.errors import Aborted
from adapters.secureaggregation.messages import Advertised, Roster
from adapters.secureaggregation.parameters import MOST_CLIENTS, Parameters
from adapters.secureaggregation.sealing import raw, roster_digest, text
from adapters.secureaggregation.session import Session
from adapters.secureaggregation.signing import Knows, verify


@dataclass(frozen=True)
class Known:
    """A roster that holds.

    Attributes:
        names: ordered.
        places: of names.
        mask_keys: public, by place.
        channel_keys: public, by place.
        digest: of it.
        parameters: for so many clients.
    """

    names: tuple[str, ...]
    places: dict[str, int]
    mask_keys: tuple[bytes, ...]
    channel_keys: tuple[bytes, ...]
    digest: bytes
    parameters: Parameters


def advertised(token: str, session: Session, members: Collection[str], knows: Knows) -> Advertised | None:
    """Return what a member advertised, or none where it is not signed by its enrolled key for this session."""
    found = verify(token, "secagg-keys+jwt", Advertised, text(session.digest), knows)
    return found if found is not None and found.subject in members else None


def read_roster(roster: Roster, session: Session, members: Collection[str], knows: Knows) -> Known:
    """Return what a roster says.

    Args:
        roster: as it came.
        session: that it must be of.
        members: who may take part; of all of these a share may collude, however few are in the roster.
        knows: the keys of enrolled devices.

    Raises:
        Aborted: ``unlike_roster``: an entry is not signed for this session by a member, or they are not in order, or a
            key is there twice; ``too_few``.
        Unsafe: no parameters are safe for so many clients.
    """
    found = [advertised(token, session, members, knows) for token in roster.tokens[:MOST_CLIENTS]]
    entries = [one for one in found if one is not None]
    names = [one.subject for one in entries]
    if len(entries) != len(found) or names != sorted(set(names)):
        raise Aborted("unlike_roster", "the roster holds keys that no member signed for this session, or not in order")
    masks, channels = [raw(one.mask_key) for one in entries], [raw(one.channel_key) for one in entries]
    if len(set(masks + channels)) != 2 * len(entries):
        raise Aborted("unlike_roster", "a key is in the roster twice")
    if len(entries) < session.fewest:
        raise Aborted("too_few", f"{len(entries)} clients take part, and a sum is over {session.fewest} at least")
    return Known(
        tuple(names),
        {name: place for place, name in enumerate(names)},
        tuple(masks),
        tuple(channels),
        roster_digest(session.digest, roster.tokens),
        session.parameters(len(entries), len(members)),
    )
