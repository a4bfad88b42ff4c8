"""Behaviour: what evidence says of the subject behind it."""

from controlplane.behavior.attribution import attributed
from controlplane.behavior.conformal import Peer
from controlplane.behavior.judge import Judge, Judged, Known
from controlplane.behavior.scores import Part

__all__ = ["Judge", "Judged", "Known", "Part", "Peer", "attributed"]
