"""Requests and inferences: what is kept of a subject's, and how far a window's are unlike its peers' and its own."""

from controlplane.behavior.requests.access import AccessScores, RequestProfile
from controlplane.behavior.requests.familiar import mark_of
from controlplane.behavior.requests.inference import InferenceScores, Reported, UseProfile
from controlplane.behavior.requests.likeness import Scored
from controlplane.behavior.requests.windows import USES, Closed, Observation, Windows, latest

__all__ = [
    "USES",
    "AccessScores",
    "Closed",
    "InferenceScores",
    "Observation",
    "Reported",
    "RequestProfile",
    "Scored",
    "UseProfile",
    "Windows",
    "latest",
    "mark_of",
]
