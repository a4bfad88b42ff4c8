"""What a guard did, for Prometheus: the control plane sees who was judged; who never answered is known here alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.guard.reports import ArchiveStanding, GuardReport, Point, RoundReport

if TYPE_CHECKING:
    from adapters.guard import Guard

MOST_CAUSES = 100
"""Different causes that are told apart: policies name their own reasons, and series must stay few."""

OTHER = "other"
"""Stands for those beyond that."""

_LABELS = ("audience", "model")

Values = Mapping[tuple[str, ...], float]
Key = TypeVar("Key")


class GuardCollector(Collector):  # type: ignore[misc] # prometheus_client is read without its types
    """Tells a registry what a guard did, each time it is asked.

    Args:
        report: of the guard, which goes on counting in it.
        audience: name of the enforcement point, a label of every series.
        model: that is trained, a label of every series.
    """

    def __init__(self, report: GuardReport, audience: str, model: str) -> None:
        self._report = report
        self._labels = (audience, model)
        self._causes: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        """Return what is counted now; the outcomes that are looked for are there from the start, as zero."""
        report = self._report
        stages: Values = {("opened",): report.opened, ("gated",): report.gated}
        yield self._counter("rounds", "Rounds by how far they came.", ("stage",), stages)
        pulls = self._outcomes(report.pulls, "allowed")
        yield self._counter("pulls", "Requests for a round's weights.", ("outcome",), pulls)
        updates = self._outcomes(report.updates, "accepted")
        yield self._counter("updates", "Updates that arrived.", ("outcome",), updates)
        yield self._counter("drops", "What was left out, and where in a round.", ("point", "cause"), self._drops())
        rollbacks: Values = {
            ("done",): 0,
            ("failed",): 0,
            **{(outcome,): number for outcome, number in _copied(report.rollbacks)},
        }
        yield self._counter("rollbacks", "Orders to rebuild the model that ended.", ("outcome",), rollbacks)
        sums = self._outcomes(report.sums, "done")
        yield self._counter("sums", "Secure sums of groups that ended.", ("outcome",), sums)
        summed: Values = {(outcome,): report.summed[outcome] for outcome in ("summed", "dropped")}
        yield self._counter("sum_members", "Members of groups that were summed.", ("outcome",), summed)
        last = report.rounds[-1] if report.rounds else RoundReport("", 0)
        members: Values = {(stage,): getattr(last, stage) for stage in ("members", "pulled", "submitted", "accepted")}
        yield self._gauge("last_round_members", "Members of the last round by how far they came.", ("stage",), members)
        gated_at: Values = {(): report.gated_at}
        yield self._gauge("last_round_timestamp_seconds", "When a round was last gated; 0 before.", (), gated_at)
        kept = report.archive or ArchiveStanding(0, 0, 0)
        yield self._gauge("archive_rounds", "Rounds whose updates are kept.", (), {(): kept.rounds})
        yield self._gauge("archive_size_bytes", "What these take on the disk.", (), {(): kept.size_bytes})

    def _counter(self, name: str, what: str, labels: tuple[str, ...], values: Values) -> Metric:
        return self._filled(CounterMetricFamily(f"ztfm_adapter_{name}", what, labels=(*_LABELS, *labels)), values)

    def _gauge(self, name: str, what: str, labels: tuple[str, ...], values: Values) -> Metric:
        return self._filled(GaugeMetricFamily(f"ztfm_adapter_{name}", what, labels=(*_LABELS, *labels)), values)

    def _filled(self, family: CounterMetricFamily | GaugeMetricFamily, values: Values) -> Metric:
        for own, value in values.items():
            family.add_metric((*self._labels, *own), float(value))
        return family

    def _drops(self) -> Values:
        found: dict[tuple[str, ...], float] = {(point, "absent"): 0 for point in get_args(Point)}
        for (point, cause), number in _copied(self._report.drops):
            key = (point, self._cause(cause))
            found[key] = found.get(key, 0) + number
        return found

    def _outcomes(self, counted: Mapping[str, int], first: str) -> Values:
        found: dict[tuple[str, ...], float] = {(first,): 0}
        for cause, number in _copied(counted):
            key = (self._cause(cause),)
            found[key] = found.get(key, 0) + number
        return found

    def _cause(self, cause: str) -> str:
        if cause not in self._causes:
            if len(self._causes) >= MOST_CAUSES:
                return OTHER
            self._causes.add(cause)
        return cause


@contextmanager
def served(guard: "Guard", *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a guard's metrics over HTTP for as long as the block lasts, and give the URL.

    Nothing in them names a device. Whoever reaches the port reads them: let Prometheus alone reach it.

    Args:
        guard: whose report is told.
        host: address to listen on.
        port: to listen on; 0 for any that is free.

    Raises:
        OSError: the address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(GuardCollector(guard.report, guard.audience, guard.model))
    server, thread = start_http_server(port, host, registry)
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _copied(counted: Mapping[Key, int]) -> list[tuple[Key, int]]:
    """Return what a counter holds; the guard's thread goes on counting meanwhile."""
    return list(dict(counted).items())
