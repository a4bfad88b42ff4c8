"""What a router's agent measures, for Prometheus: how old what it enforces is, and how often that was not as meant.

Needs the extra ``metrics``. Nothing in it names a device.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.segments.enforcing import CLOSED, Enforcement
from adapters.segments.gatekeeper import EVENTS, Gatekeeper
from adapters.segments.router import Router

_PREFIX = "ztfm_adapter_router"


@dataclass(frozen=True)
class Standing:
    """How a router stands at a moment.

    Attributes:
        made_at: when the newest table was made, Unix seconds by the control plane's clock; 0 before the first.
        flows: that pass.
        cuts: addresses that are cut off.
        silent_seconds: without word of what is revoked.
        is_refused: the newest table is not in force as a whole, or rules could not be put back.
        events: what happened to the rules, by the names of `RouterEvent`.
    """

    made_at: float = 0.0
    flows: int = 0
    cuts: int = 0
    silent_seconds: float = 0.0
    is_refused: bool = False
    events: Mapping[str, int] = field(default_factory=dict)


def standing_of(
    router: Router, gatekeeper: Gatekeeper, enforcement: Enforcement, clock: Callable[[], float]
) -> Standing:
    """Return how a router stands now.

    Args:
        router: that runs.
        gatekeeper: of the router.
        enforcement: of the gatekeeper.
        clock: Unix seconds, as the gatekeeper has them.
    """
    table, rules, now = gatekeeper.table, enforcement.rules or CLOSED, clock()
    return Standing(
        0.0 if table is None else table.made_at,
        sum(end > now for end in rules.flows.values()),
        len(rules.cut),
        router.silent_seconds,
        gatekeeper.is_refused,
        gatekeeper.counts,
    )


class RouterCollector(Collector):  # type: ignore[misc] # prometheus_client is read without its types
    """Tells a registry how a router stands, each time it is asked.

    Args:
        standing: returns it.
    """

    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Return how it stands now; what happened is there from the start, as zero."""
        now = self._standing()
        yield _gauge("table_timestamp_seconds", "When the newest table was made; 0 before the first.", now.made_at)
        yield _gauge("flows", "Flows that pass.", now.flows)
        yield _gauge("cuts", "Addresses that are cut off.", now.cuts)
        yield _gauge("silence_seconds", "Without word of what is revoked.", now.silent_seconds)
        yield _gauge("refused", "1 where the newest table is not in force as a whole.", now.is_refused)
        events = CounterMetricFamily(f"{_PREFIX}_events", "What happened to the rules.", labels=("event",))
        for name in EVENTS:
            events.add_metric((name,), float(now.events.get(name, 0)))
        yield events


@contextmanager
def served(collector: RouterCollector, host: str, port: int) -> Iterator[str]:
    """Serve it over HTTP for as long as the block lasts, and give the URL: let Prometheus alone reach it.

    Raises:
        OSError: the address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = start_http_server(port, host, registry)
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", what, value=float(value))
