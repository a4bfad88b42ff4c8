"""Who is summed with whom: groups of a round's members, from a seed that nobody picks, and what tells them apart."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache


def partition(seed: str, members: Iterable[str], size: int) -> list[tuple[str, ...]]:
    """Return the groups of a round: of ``size`` members or a few more, all but the same number in each.

    Whoever has the seed and the members computes the same. Another seed gives other groups, so that over some rounds
    everybody is with everybody, and who is in every group that is refused stands out.

    Args:
        seed: of the round, made by the control plane when it was opened.
        members: that may take part.
        size: of a group.

    Raises:
        ValueError: a group would have no member.
    """
    if size < 1:
        raise ValueError("a group has one member at least")

    def place(member: str) -> bytes:
        return hmac.digest(seed.encode(), member.encode(), "sha256")

    ordered = sorted(set(members), key=place)
    count = max(1, len(ordered) // size)
    return [tuple(sorted(ordered[number::count])) for number in range(count)] if ordered else []


def group_of(seed: str, members: Sequence[str], size: int, name: str) -> tuple[str, ...]:
    """Return the group that a member is in; empty for one who is no member.

    Args:
        seed: of the round.
        members: that may take part.
        size: of a group.
        name: of the member.
    """
    return _groups(seed, tuple(members), size).get(name, ())


@lru_cache(maxsize=32)
def _groups(seed: str, members: tuple[str, ...], size: int) -> Mapping[str, tuple[str, ...]]:
    return {member: group for group in partition(seed, members, size) for member in group}


def group_digest(group: Iterable[str]) -> str:
    """Return the digest of a group's members, whose names hold no line breaks."""
    return f"sha256:{hashlib.sha256(chr(10).join(sorted(group)).encode()).hexdigest()}"
