"""Read the metrics of a control plane, and what changed between two readings of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Scrape:
    """The metrics at one moment.

    Attributes:
        at: seconds of a clock that only goes forward.
        samples: by name, each with its labels.
    """

    at: float
    samples: Mapping[str, list[tuple[Labels, float]]]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels; 0 when there is none."""
        return sum(value for found, value in self.samples.get(name, []) if labels.items() <= found.items())

    def has(self, name: str) -> bool:
        """Whether there is any such sample."""
        return bool(self.samples.get(name))


def parse(text: str, at: float) -> Scrape:
    """Return the samples of an exposition.

    Raises:
        ValueError: it is none.
    """
    samples: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, float(sample.value)))
    return Scrape(at, samples)


@dataclass(frozen=True)
class Change:
    """What counters counted between two scrapes.

    Attributes:
        old: the earlier one; none where there is but one.
        new: the later one.
    """

    old: Scrape | None
    new: Scrape

    @property
    def seconds(self) -> float | None:
        """For how long; none where that is not known."""
        passed = None if self.old is None else self.new.at - self.old.at
        return passed if passed and passed > 0.0 else None

    def grew(self, name: str, **labels: str) -> float:
        """Return by how much the counters of that name with these labels grew; 0 where it is not known."""
        return sum(value for found, value in self.each(name) if labels.items() <= found.items())

    def rate(self, name: str, **labels: str) -> float | None:
        """Return by how much they grew a second; none where that is not known."""
        return None if self.seconds is None else self.grew(name, **labels) / self.seconds

    def each(self, name: str) -> Iterator[tuple[Labels, float]]:
        """Give the labels of each counter of that name, and by how much it grew."""
        if self.seconds is None or self.old is None:
            return
        before = {frozenset(labels.items()): value for labels, value in self.old.samples.get(name, [])}
        for labels, value in self.new.samples.get(name, []):
            was = before.get(frozenset(labels.items()), 0.0)
            # A counter that is lower than before began anew: all of it came since.
            yield labels, value - was if value >= was else value

    def quantile(self, name: str, share: float) -> float | None:
        """Return a quantile of what a histogram saw, within a bucket by its place; none where it saw nothing.

        Args:
            name: of the histogram, without ``_bucket``; its series are taken together.
            share: between 0 and 1.
        """
        below: dict[float, float] = {}
        for labels, value in self.each(f"{name}_bucket"):
            bound = float(labels.get("le", "inf"))
            below[bound] = below.get(bound, 0.0) + value
        bounds = sorted(below)
        if not bounds or below[bounds[-1]] <= 0.0:
            return None
        wanted, start, seen = share * below[bounds[-1]], 0.0, 0.0
        for bound in bounds:
            if below[bound] >= wanted:
                if bound == inf:
                    return start
                inside = below[bound] - seen
                return start + (bound - start) * ((wanted - seen) / inside if inside else 1.0)
            start, seen = bound, below[bound]
        return start
