"""A router's agent: what the table of grants names passes, and everything else is dropped, by nftables."""

from adapters.segments.enforcing import Enforcement
from adapters.segments.router import Router

__all__ = ["Enforcement", "Router"]
