"""Behaviour: what an update's evidence says of the device behind it."""

from controlplane.behavior.trust import TrustModel

__all__ = ["TrustModel"]
