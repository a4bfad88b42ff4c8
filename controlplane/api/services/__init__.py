"""What the edge needs from the rest of the house, by capability; handed over once by the composition root."""

from controlplane.api.services.capabilities import EDGE_CAUSES
from controlplane.api.services.identity import Organisation
from controlplane.api.services.limits import EdgeLimits
from controlplane.api.services.readiness import Readiness
from controlplane.api.services.whole import SERVICES, Services

__all__ = ["EDGE_CAUSES", "SERVICES", "EdgeLimits", "Organisation", "Readiness", "Services"]
