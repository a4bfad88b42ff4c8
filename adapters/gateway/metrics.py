"""What a gateway measures: OpenTelemetry's names for generative models, and our own of who was let through.

Needs the extra ``metrics``. Families and attributes are those of OpenTelemetry's semantic conventions
(``gen_ai.client.token.usage``, ``gen_ai.server.request.duration``, ``gen_ai.server.time_to_first_token``,
``gen_ai.server.time_per_output_token``), under the names that their mapping to Prometheus gives them; with a meter
(`adapters.gateway.otlp`) they go over OTLP as well. Nothing in them names a subject, and no caller can add a series.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from adapters.gateway.instruments import ALL, DURATION, FIRST_TOKEN, OUTPUT_TOKEN, TOKENS, Instrument

Operation = Literal["chat", "text_completion", "embeddings", "infer", "request"]
"""What is asked of a model: OpenTelemetry's names where it has one, KServe's ``infer``, and a plain HTTP request."""

Failure = Literal[
    "refused",
    "budget",
    "content",
    "revoked",
    "too_large",
    "upstream_unreachable",
    "upstream_timeout",
    "upstream_status",
    "upstream_broken",
    "client_gone",
    "unavailable",
]
"""Why a request came to nothing: by whom it was stopped, the gateway, the upstream or the client."""

OTHER = "_OTHER"
"""Stands for what is outside a closed set, as OpenTelemetry has it."""

MOST_OUTCOMES = 100
"""Different outcomes that are told apart."""

_OPERATIONS = frozenset(get_args(Operation))
_FAILURES = frozenset(get_args(Failure))
_TYPES: tuple[Literal["input"], Literal["output"]] = ("input", "output")


class Recorder(Protocol):
    """Takes measurements beside Prometheus, such as for OTLP."""

    def record(self, instrument: Instrument, value: float, attributes: dict[str, str]) -> None:
        """Take one measurement. Never raises and never waits."""
        ...


class Exchange:
    """One request to a model and its answer, timed from the moment it is made.

    Args:
        record: takes what was measured.
        attributes: of every measurement.
        clock: seconds, monotonic.
    """

    __slots__ = ("_attributes", "_begun", "_clock", "_first", "_is_over", "_record")

    def __init__(
        self,
        record: Callable[[Instrument, float, dict[str, str]], None],
        attributes: dict[str, str],
        clock: Callable[[], float],
    ) -> None:
        self._record = record
        self._attributes = attributes
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._is_over = False

    def first_token(self) -> None:
        """Say that the first part of a streamed answer is here; later calls say nothing new."""
        if self._first is None and not self._is_over:
            self._first = self._clock()

    def ended(
        self, failure: Failure | None = None, *, input_tokens: int | None = None, output_tokens: int | None = None
    ) -> None:
        """Say that the last byte went out, or that it came to nothing; the first call counts.

        Args:
            failure: why it came to nothing; none for an answer that went out whole.
            input_tokens: of the prompt; none where nobody counted.
            output_tokens: of the answer; none where nobody counted.
        """
        if self._is_over:
            return
        self._is_over = True
        now, attributes = self._clock(), self._attributes
        error = {} if failure is None else {"error.type": failure if failure in _FAILURES else OTHER}
        self._record(DURATION, now - self._begun, {**attributes, **error})
        for kind, tokens in zip(_TYPES, (input_tokens, output_tokens), strict=True):
            if tokens is not None and tokens >= 0:
                self._record(TOKENS, tokens, {**attributes, "gen_ai.token.type": kind})
        # Conventions ask for these of successful answers alone.
        if failure is None and self._first is not None:
            self._record(FIRST_TOKEN, self._first - self._begun, attributes)
            if output_tokens is not None and output_tokens > 1:
                self._record(OUTPUT_TOKEN, (now - self._first) / (output_tokens - 1), attributes)


class GatewayMetrics:
    """What one gateway counts and measures.

    Args:
        audience: name of its enforcement point, a label of our own series.
        models: that it serves; a request for any other is counted as ``_OTHER``.
        provider: who serves them, as OpenTelemetry names it; ``openai`` stands for what speaks its API.
        registry: that they are told to; none for one of its own.
        recorder: that they are told to as well.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        audience: str,
        models: Collection[str],
        *,
        provider: str = "openai",
        registry: CollectorRegistry | None = None,
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._audience = audience
        self._models = frozenset(models)
        self._provider = provider
        self._recorder = recorder
        self._clock = clock
        self._families = {one: self._family(one) for one in ALL}
        self._outcomes: set[str] = set()
        prefix, labels = "ztfm_adapter_gateway", ("audience",)
        self._requests = Counter(
            f"{prefix}_requests",
            "Requests by what became of them.",
            (*labels, "action", "outcome"),
            registry=self.registry,
        )
        self._cuts = Counter(
            f"{prefix}_cuts", "Running answers that were cut.", (*labels, "cause"), registry=self.registry
        )
        self._open = Gauge(f"{prefix}_streams", "Answers that stream now.", labels, registry=self.registry).labels(
            audience
        )
        self._cuts.labels(audience, "revoked")
        self._requests.labels(audience, "inference", "allowed")

    def began(self, operation: Operation, model: str) -> Exchange:
        """Return the exchange that begins now: a request for a model that was let through to it."""
        attributes = {
            "gen_ai.operation.name": operation if operation in _OPERATIONS else OTHER,
            "gen_ai.provider.name": self._provider,
            "gen_ai.request.model": model if model in self._models else OTHER,
        }
        return Exchange(self._record, attributes, self._clock)

    def outcome(self, action: str, outcome: str) -> None:
        """Count a request; it fits `EnforcementPoint`'s ``on_outcome``."""
        if outcome not in self._outcomes:
            if len(self._outcomes) >= MOST_OUTCOMES:
                outcome = OTHER
            self._outcomes.add(outcome)
        self._requests.labels(self._audience, action, outcome).inc()

    def cut(self, cause: Literal["revoked", "expired", "content", "budget", "revocations_unknown"]) -> None:
        """Count an answer that was cut while it ran."""
        self._cuts.labels(self._audience, cause).inc()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Count an answer among those that stream now, for as long as the block lasts."""
        self._open.inc()
        try:
            yield
        finally:
            self._open.dec()

    def _family(self, instrument: Instrument) -> Histogram:
        names = tuple(_label(one) for one in instrument.attributes)
        return Histogram(
            instrument.prometheus, instrument.description, names, buckets=instrument.buckets, registry=self.registry
        )

    def _record(self, instrument: Instrument, value: float, attributes: dict[str, str]) -> None:
        # A label that is empty is none to Prometheus, as an attribute that is left out.
        labels = (attributes.get(one, "") for one in instrument.attributes)
        self._families[instrument].labels(*labels).observe(value)
        if self._recorder is not None:
            self._recorder.record(instrument, value, attributes)


@contextmanager
def served(registry: CollectorRegistry, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a registry over HTTP for as long as the block lasts, and give the URL: let Prometheus alone reach it.

    Args:
        registry: what is told.
        host: address to listen on.
        port: to listen on; 0 for any that is free.

    Raises:
        OSError: the address cannot be had.
    """
    server, thread = start_http_server(port, host, registry)
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _label(attribute: str) -> str:
    return attribute.replace(".", "_")
