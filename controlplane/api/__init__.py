"""The HTTP edge: one module per resource, strict input, problem+json, OpenAPI."""

from controlplane.api.application import build_edge
from controlplane.api.services import SERVICES, Services

__all__ = ["SERVICES", "Services", "build_edge"]
