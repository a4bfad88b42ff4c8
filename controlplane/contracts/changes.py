"""What changes in the control plane, as those are told who look at it: that something did, and of which kind."""

from typing import Literal, get_args

from controlplane.contracts.base import StrictModel, Timestamp

ChangeKind = Literal["rounds", "devices", "decisions", "policies", "rollbacks"]
"""``rounds`` are opened, and updates come to them; ``devices`` enrol, are proven, placed and judged, and their status
changes; ``decisions`` are recorded, other than about this API itself, where whoever looks would see itself looking;
``policies`` are released and tried in the shadow, and exceptions from them and holds begin and end; ``rollbacks`` are
ordered and carried out."""

CHANGES: tuple[ChangeKind, ...] = get_args(ChangeKind)

CHANGES_STREAM = "changes"
"""The one stream's name."""


class Changed(StrictModel):
    """Something of a kind has changed: ask for it again.

    Attributes:
        at: when that was seen, Unix seconds.
    """

    at: Timestamp
