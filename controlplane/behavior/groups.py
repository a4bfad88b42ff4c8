"""Evidence of groups: what a group's sum says of each of its members, who share it with whoever else is in it.

An honest member is in a refused group when its own group deviates by chance, or when a hostile member is in it. Groups
are drawn anew each round, by nobody's choice, so how often the second can happen is bounded whatever the hostile ones
do with what they know, even if they lie only beside one victim: by the chance that one of them is in the group at all.
Who goes away afterwards changes nothing of that, and could make it look smaller: it is reckoned from the groups as they
were drawn, not from whoever is in their sums. A bet on a level ``l`` of the group's p-value then pays
``1 / (l + c * (1 - l))`` with that chance ``c``, which is fair or less for an honest member, and what is promised of
e-values (`controlplane.behavior.betting`) holds for it. Whoever lies is in a refused group each time, and wins each
bet.
"""

from collections.abc import Mapping
from math import floor


def company(members: int, size: int, hostile_share: float) -> float:
    """Return the chance that a hostile member is among the others of an honest member's group, at most.

    Args:
        members: of the round when its groups were drawn, whether or not their updates are in sums.
        size: members of the group, likewise.
        hostile_share: of the members that may be hostile; one of them is reckoned with in any case.
    """
    hostile = min(members - 1, max(1, floor(hostile_share * members + 1e-9)))
    alone = 1.0
    for other in range(size - 1):
        alone *= max(0, members - 1 - hostile - other) / max(1, members - 1 - other)
    return 1.0 - alone


def companies(groups: Mapping[str, str], hostile_share: float) -> dict[str, float]:
    """Return that chance for each member.

    Args:
        groups: the group of each member of a round as it was drawn.
        hostile_share: as in `company`.
    """
    sizes: dict[str, int] = {}
    for group in groups.values():
        sizes[group] = sizes.get(group, 0) + 1
    by_size = {size: company(len(groups), size, hostile_share) for size in set(sizes.values())}
    return {member: by_size[sizes[group]] for member, group in groups.items()}


def shared(p_value: float, chance: float) -> float:
    """Return a p-value for an honest member: its group deviates by chance, or because somebody else in it does.

    Args:
        p_value: of the group.
        chance: that somebody else may be why.
    """
    return min(1.0, p_value + chance * (1.0 - p_value))
