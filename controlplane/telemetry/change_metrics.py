"""What is counted of those who follow changes."""

from controlplane.contracts.changes import CHANGES, ChangeKind
from controlplane.telemetry.families import Families


class ChangeMetrics:
    """Counts followers of changes, and what they are told of.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.followers = make.gauge("ztfm_change_followers", "Who follows what changes now, such as open consoles")
        self.dropped = make.counter(
            "ztfm_change_followers_dropped_total", "Followers that were too slow and were cut off"
        )
        self.told = make.counter("ztfm_changes_total", "Changes that followers were told of", "kind")
        for kind in CHANGES:
            self.told.labels(kind)

    def following(self, followers: int) -> None:
        """So many follow now."""
        self.followers.set(followers)

    def changed(self, kind: ChangeKind) -> None:
        """Something of a kind has changed."""
        self.told.labels(kind).inc()
