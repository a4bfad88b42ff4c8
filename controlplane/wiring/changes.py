"""What tells whoever looks that something has changed."""

from controlplane.decisions.changes import ChangeFeed
from controlplane.wiring.common import Common, Signing


def wire_changes(common: Common, signing: Signing) -> ChangeFeed:
    """Return it."""
    store, has_ended = common.store, signing.announcing.revoker.has_ended
    return ChangeFeed(store.changes, store.sessions, has_ended, common.clock, common.metrics.changes)
