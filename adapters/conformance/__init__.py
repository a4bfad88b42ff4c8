"""The conformance kit: whether a backend's adapter keeps the seam, tried with a real control plane and a real OPA.

A backend under test is a module with a function ``federation(job: Job) -> Ended``: ``ztfm adapter check MODULE``.
"""

from adapters.conformance.job import Ended, Job, Pace, report_of
from adapters.conformance.scripted import Scripted, Trained

__all__ = ["Ended", "Job", "Pace", "Scripted", "Trained", "report_of"]
