"""A candidate in the shadow: policies that decide beside the live ones, without effect, and what they would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Identifier, Name, StrictModel, Timestamp
from controlplane.contracts.policies import BundleDigest, Revision

Disagreement = Literal["newly_denied", "newly_allowed", "other_reasons", "other_terms"]
"""How the candidate would decide otherwise.

``other_reasons`` stays denied for other reasons; ``other_terms`` stays allowed with other obligations or for another
time.
"""

DISAGREEMENTS: tuple[Disagreement, ...] = get_args(Disagreement)

MAX_GROUPS = 1000
SAMPLES = 5

Tally = Annotated[int, Field(ge=0, le=2**53)]
"""A number of decisions."""

Word = Annotated[str, StringConstraints(max_length=64)]


class ShadowGroup(StrictModel):
    """Decisions that the candidate would change alike, or gave none on.

    Attributes:
        change: ``failed`` where the candidate gave no decision.
        action: cut to 64 characters, as are the reason and the segment.
        reason: what would be missing, or was; a decision with several is counted under each.
        segment: where the subject is enrolled; ``people``, or ``none``.
        samples: ids of a few of the live decisions: `ztfm policy explain` says more of each.
    """

    change: Disagreement | Literal["failed"]
    action: Word
    reason: Word
    segment: Word
    count: Tally
    samples: Annotated[list[Identifier], Field(max_length=SAMPLES)]


class Shadow(StrictModel):
    """A candidate, and when it was in the shadow.

    Attributes:
        id: of this stay in the shadow; the same policies may be there again.
        digest: SHA-256 of the bundle.
        started_by: who put it there, by the name that policy decided about.
        stopped_at: none while it decides.
    """

    id: Identifier
    revision: Revision
    digest: BundleDigest
    started_at: Timestamp
    started_by: Name
    stopped_at: Timestamp | None = None


class ShadowReport(StrictModel):
    """What a candidate decided beside the live policy, in all control planes together.

    Attributes:
        agreed: decisions that it would not change.
        changes: decisions that it would change, by how.
        failed: decisions on which it gave none.
        dropped: decisions that it was not asked about: more came than it could take.
        groups: what it would change and where it failed; at most 1000, the rest is in the numbers above alone.
    """

    shadow: Shadow
    agreed: Tally
    changes: dict[Disagreement, Tally]
    failed: Tally
    dropped: Tally
    groups: Annotated[list[ShadowGroup], Field(max_length=MAX_GROUPS)]

    @property
    def disagreed(self) -> int:
        """Decisions that it would change."""
        return sum(self.changes.values())

    @property
    def decided(self) -> int:
        """Decisions of both that were compared."""
        return self.agreed + self.disagreed


@dataclass(frozen=True)
class ShadowCounts:
    """What one process found since it last said so; its parts are those of `ShadowReport`."""

    agreed: int = 0
    changes: Mapping[Disagreement, int] = field(default_factory=dict)
    failed: int = 0
    dropped: int = 0
    groups: Sequence[ShadowGroup] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.agreed or self.failed or self.dropped or any(self.changes.values()))
