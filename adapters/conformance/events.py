"""What the kit does when a client asks for it in the middle of a round."""

from pathlib import Path

from adapters.conformance.cases import Event
from adapters.conformance.parties import Parties
from adapters.conformance.plane import Plane, PlaneFailed
from adapters.conformance.script import asked_for, done

_LONGEST_PAUSE_SECONDS = 2.0
_SHARE_PAUSED = 0.25
"""Of the time that clients have: whoever waits for the control plane meanwhile is in time."""


class Events:
    """Watches for one event, does it once, and mends what it broke.

    Args:
        plane: the control plane.
        parties: who may set clients apart.
        event: what is to happen; empty for nothing.
        signals: folder in which the client asks.
        subject: the client whom it is about.
        training_seconds: how long clients have; a pause is shorter.
    """

    def __init__(
        self, plane: Plane, parties: Parties, event: Event, signals: Path, subject: str, training_seconds: float
    ) -> None:
        self.has_happened = False
        self._plane = plane
        self._parties = parties
        self._event = event
        self._signals = signals
        self._subject = subject
        self._pause = min(_LONGEST_PAUSE_SECONDS, _SHARE_PAUSED * training_seconds)

    def look(self) -> None:
        """Do the event when it was asked for, say so, and mend what it broke.

        Raises:
            PlaneFailed: the control plane did not come back, or there was no OPA to kill.
            ControlPlaneError: the control plane did not do what the event is.
        """
        if self.has_happened or not self._event or not asked_for(self._signals, self._event).exists():
            return
        self.has_happened = True
        self._happen()
        done(self._signals, self._event).touch()
        if self._event == "kill-control-plane":
            self._plane.start()

    def _happen(self) -> None:
        if self._event == "quarantine":
            self._parties.set_status(self._subject, "quarantined")
        elif self._event == "revoke":
            self._parties.set_status(self._subject, "revoked")
        elif self._event == "rotate-keys":
            self._parties.rotate_keys()
        elif self._event == "pause-control-plane":
            # Who asked waits no longer than the control plane is away.
            done(self._signals, self._event).touch()
            self._plane.pause(self._pause)
        elif self._event == "kill-policy-engine":
            if not self._plane.kill_engine():
                raise PlaneFailed("no OPA of the control plane was found to kill: this case needs Linux")
        else:
            self._plane.kill()
