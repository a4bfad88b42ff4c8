"""What is counted of the console: sessions."""

from controlplane.telemetry.families import Families

EVENTS = ("begun", "refused", "ended", "displaced")


class ConsoleMetrics:
    """Counts sessions.

    Args:
        make: makes families.
    """

    def __init__(self, make: Families) -> None:
        self.sessions = make.counter(
            "ztfm_console_sessions_total",
            "Sessions of the console by what became of them: begun, refused by policy, ended by whoever was signed in, "
            "or by a newer one of theirs",
            "event",
        )
        for event in EVENTS:
            self.sessions.labels(event)
