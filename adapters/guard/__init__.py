"""The seam of six points: identify, admit, authorize a pull, seal, gate, drop."""

from adapters.credentials import Credentials, Introduction, RoundTerms
from adapters.guard.guard import Guard
from adapters.guard.reports import Drop, GuardReport, Point, RoundReport
from adapters.guard.rounds import SealedRound
from adapters.guard.rulings import Gated, Ruling, Submission
from adapters.member import Member
from controlplane.capabilities.refusals import Refused

__all__ = [
    "Credentials",
    "Drop",
    "Gated",
    "Guard",
    "GuardReport",
    "Introduction",
    "Member",
    "Point",
    "Refused",
    "RoundReport",
    "RoundTerms",
    "Ruling",
    "SealedRound",
    "Submission",
]
