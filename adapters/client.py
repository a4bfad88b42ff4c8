"""The SDK of the control plane: `ControlPlane` for asyncio, and `SyncControlPlane` with the same names.

Needs nothing but the base install, so that a small device can carry it.
"""

from adapters.blocking import SyncControlPlane
from adapters.plane import ControlPlane, Readiness

__all__ = ["ControlPlane", "Readiness", "SyncControlPlane"]
