"""Behaviour beside updates: requests as they are decided, and inferences as gateways report them, are judged."""

from controlplane.decisions.watching.requests import RequestWatch
from controlplane.decisions.watching.signals import SignalWatch, Unjudged

__all__ = ["RequestWatch", "SignalWatch", "Unjudged"]
