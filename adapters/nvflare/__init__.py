"""The seam around an NVFLARE job: a guarded controller and a point on the server, a filter at each site."""

from adapters.nvflare.commands import CommandCheck
from adapters.nvflare.controller import Guarded, GuardedFedAvg
from adapters.nvflare.point import GuardPoint, TrustedData
from adapters.nvflare.registering import Introducing, Registration
from adapters.nvflare.release import ReleaseFilter
from adapters.nvflare.site import MemberFilter

__all__ = [
    "CommandCheck",
    "GuardPoint",
    "Guarded",
    "GuardedFedAvg",
    "Introducing",
    "MemberFilter",
    "Registration",
    "ReleaseFilter",
    "TrustedData",
]
