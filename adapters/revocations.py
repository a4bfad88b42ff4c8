"""Whether a capability was revoked, at an enforcement point: pushed (`RevocationFeed`), or polled (`StatusListPoller`).

Either is given to a `CapabilityVerifier` as ``standings``. Needs nothing but the base install.
"""

from adapters.feed import MAX_SILENCE_SECONDS, RevocationFeed
from adapters.polling import StatusListPoller

__all__ = ["MAX_SILENCE_SECONDS", "RevocationFeed", "StatusListPoller"]
