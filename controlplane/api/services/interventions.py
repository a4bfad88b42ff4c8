"""Where people and alerts change what is decided: exceptions that are granted, and holds."""

from dataclasses import dataclass

from controlplane.decisions.alerts import AlertDesk
from controlplane.decisions.exceptions import CurrentExceptions
from controlplane.decisions.holds import CurrentHolds
from controlplane.storage.exceptions import Exceptions
from controlplane.storage.holds import Holds


@dataclass(frozen=True)
class InterventionParts:
    """What is allowed or held for a time.

    Attributes:
        exceptions: that were granted, as they are kept.
        excepted: those that have not ended, as decisions see them.
        holds: what alerts had held, as it is kept.
        held: what is held, as decisions see it.
        alerts: has policy asked about alerts.
    """

    exceptions: Exceptions
    excepted: CurrentExceptions
    holds: Holds
    held: CurrentHolds
    alerts: AlertDesk
