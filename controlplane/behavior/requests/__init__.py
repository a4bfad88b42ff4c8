"""Requests and inferences: what is kept of a subject's, and how far a window's are unlike its peers' and its own."""

from controlplane.behavior.requests.access import AccessScores, RequestProfile
from controlplane.behavior.requests.inference import InferenceScores, Reported, UseProfile
from controlplane.behavior.requests.likeness import Scored
from controlplane.behavior.requests.windows import Closed, Observation, Windows

__all__ = [
    "AccessScores",
    "Closed",
    "InferenceScores",
    "Observation",
    "Reported",
    "RequestProfile",
    "Scored",
    "UseProfile",
    "Windows",
]
