"""Enrol a fleet from a file: many devices at a time, each once, to be gone on with after whatever ends a run.

``python -m adapters.fleet fleet.csv --out station --admin keys/administrator``; docs/fleet-enrolment.md has the rest.
"""

from adapters.fleet.errors import Fault, FleetError
from adapters.fleet.running import Outcome, Wanted, enrol_fleet

__all__ = ["Fault", "FleetError", "Outcome", "Wanted", "enrol_fleet"]
