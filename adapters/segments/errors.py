"""What can go wrong where grants meet the kernel. In each case what was in force before still is."""


class SegmentsError(Exception):
    """The root: rules could not be applied, read or kept. The message says what, where, and the remedy."""


class NftablesMissing(SegmentsError):  # noqa: N818 - a state, as callers see it
    """There is neither libnftables nor ``nft`` here."""


class RulesRefused(SegmentsError):  # noqa: N818 - a state, as callers see it
    """The kernel, or nftables before it, did not take the rules; none of them is in force."""


class NotAsApplied(SegmentsError):  # noqa: N818 - a state, as callers see it
    """What was read back is not what was applied; what was in force before is again."""


class StateUnreadable(SegmentsError):  # noqa: N818 - a state, as callers see it
    """The table that was kept cannot be read; it is as if there were none."""


class TableUnreadable(SegmentsError):  # noqa: N818 - a state, as callers see it
    """A file holds no table of grants."""
