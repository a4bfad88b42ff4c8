"""A circuit breaker: after repeated faults, calls are refused at once until a trial call succeeds."""

from collections.abc import Callable


class CircuitBreaker:
    """Counts consecutive faults; pure but for the clock that is passed in (seconds, monotonic)."""

    def __init__(self, clock: Callable[[], float], *, threshold: int = 5, open_seconds: float = 0.5) -> None:
        self._clock = clock
        self._threshold = threshold
        self._open_seconds = open_seconds
        self._faults = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are suspended."""
        return self._faults >= self._threshold

    def admits(self) -> bool:
        """Whether a call may be made now. While open, one trial call per interval."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._open_seconds
        return True

    def succeeded(self) -> None:
        """A call came through: close the circuit."""
        self._faults = 0

    def failed(self) -> None:
        """A call failed: open the circuit once there are too many in a row."""
        self._faults += 1
        if self.is_open:
            self._retry_at = self._clock() + self._open_seconds
