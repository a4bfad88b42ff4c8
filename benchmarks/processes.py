"""A process and those that it started: what they use together."""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Family:
    """A process with all that come of it.

    Attributes:
        first: it.
    """

    first: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time that they have used."""
        times = [one.cpu_times() for one in self._all()]
        return float(sum(one.user + one.system for one in times))

    def resident_bytes(self) -> int:
        """Memory that they have resident, what they share counted for each."""
        return sum(one.memory_info().rss for one in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self.first, *self.first.children(recursive=True)]
