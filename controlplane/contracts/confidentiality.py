"""What an aggregator sees of its members' updates, which policy picks for each model."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Label, StrictModel

Confidentiality = Literal["plain", "grouped", "tee"]
"""``plain``: each update. ``grouped``: the sums of groups of members alone, by secure aggregation. ``tee``: each of
them, within an aggregator whose platform is attested."""

MOST_GROUPED = 1_000

GroupSize = Annotated[int, Field(ge=3, le=MOST_GROUPED)]
"""Members of a group; fewer than three would show each other's updates."""


class GroupSum(StrictModel):
    """The group of which an update is part, where evidence is of the group's sum and nothing is known of the update.

    Attributes:
        name: of the group, within its round.
        size: how many updates are in the sum.
    """

    name: Label
    size: Annotated[int, Field(ge=1, le=MOST_GROUPED)]
