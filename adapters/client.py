"""The SDK of the control plane: `ControlPlane` for asyncio, and `SyncControlPlane` with the same names.

`Capabilities` and `SyncCapabilities` keep what was handed out fresh, `Prover` shows it at an endpoint. Needs nothing
but the base install, so that a small device can carry it.
"""

from adapters.answers import Decision, Grant
from adapters.blocking import SyncCapabilities, SyncControlPlane
from adapters.plane import ControlPlane, Readiness
from adapters.proving import Prover
from adapters.renewal import Capabilities

__all__ = [
    "Capabilities",
    "ControlPlane",
    "Decision",
    "Grant",
    "Prover",
    "Readiness",
    "SyncCapabilities",
    "SyncControlPlane",
]
