"""Record traces with OpenTelemetry, and send them to a collector over OTLP/HTTP.

Needs the extra ``otel``; the composition root imports this only where traces are wanted.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from controlplane.telemetry.outbox import Outbox
from controlplane.telemetry.tracing import NO_SPAN, NONE, Attributes, NoSpan, Parent

SamplerName = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]

_LINKS = 256
_NOWHERE = Context()
_ERROR = trace.Status(trace.StatusCode.ERROR)


@dataclass(frozen=True)
class OtlpOptions:
    """How traces are recorded and sent.

    Attributes:
        endpoint: whole URL that takes traces, such as ``http://localhost:4318/v1/traces``.
        headers: sent with them; may hold a secret.
        certificate: PEM file with the authority of the collector's certificate; none for the system's.
        timeout_seconds: for one export, tries included.
        resource: what every span says of this process.
        sampler: which traces are recorded.
        ratio: of them, where it goes by a ratio.
        asked_a_second: traces that callers may have recorded by the flag of their own; 0 asks nobody.
        queue: spans that wait to be sent at most; beyond it the oldest are lost.
        delay_seconds: how long a span waits at most until it is sent.
    """

    endpoint: str
    headers: Mapping[str, str]
    certificate: Path | None
    timeout_seconds: float
    resource: Mapping[str, str]
    sampler: SamplerName
    ratio: float
    asked_a_second: int
    queue: int
    delay_seconds: float

    def __repr__(self) -> str:
        return f"OtlpOptions({self.endpoint!r}, sampler={self.sampler!r}, ratio={self.ratio})"


class _Opened:
    """A span, or its place where it is not recorded; entered, it is the current one."""

    __slots__ = ("_token", "span")
    _token: Token[Context]

    def __init__(self, span: trace.Span) -> None:
        self.span = span

    @property
    def is_recorded(self) -> bool:
        return self.span.is_recording()

    def note(self, attributes: Attributes) -> None:
        self.span.set_attributes(attributes)

    def failed(self, kind: str) -> None:
        self.span.set_attribute("error.type", kind)
        self.span.set_status(_ERROR)

    def __enter__(self) -> Self:
        self._token = attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        detach(self._token)
        if kind is not None:
            # Its message may hold what no span may.
            self.failed(kind.__name__)
        self.span.end()


class _Ids(RandomIdGenerator):
    """Ids of traces; one that was drawn beforehand, to ask the sampler about it, is that of the next trace."""

    def __init__(self) -> None:
        self.drawn = 0

    def generate_trace_id(self) -> int:
        drawn, self.drawn = self.drawn, 0
        return drawn or super().generate_trace_id()


class OtlpTracing:
    """A `Tracing` that records with OpenTelemetry. An asynchronous context manager: left, it has sent what it could.

    It is nobody's global provider: spans of other libraries in this process do not come through it.

    Args:
        options: how.
        exporter: sends spans; none for one over OTLP/HTTP.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        options: OtlpOptions,
        exporter: SpanExporter | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = Outbox(exporter or _exporter(options), options.queue, options.delay_seconds, clock)
        self._sampler = _sampler(options.sampler, options.ratio)
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=self._sampler,
            resource=Resource(dict(options.resource)),
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=SpanLimits(max_links=_LINKS),
        )
        self._provider.add_span_processor(self._outbox)
        self._tracer = self._provider.get_tracer("ztfm")
        self._propagator = TraceContextTextMapPropagator()
        self._asked_a_second = options.asked_a_second
        self._clock = clock
        self._second, self._asked = 0, 0

    async def __aenter__(self) -> Self:
        self._outbox.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._provider.shutdown)

    def current(self) -> object:
        """Return the current span."""
        return trace.get_current_span()

    def request(self, name: str, parent: Parent | None, attributes: Attributes) -> "_Opened | NoSpan":
        """Open the span of a request; see `Tracing.request`."""
        if parent is not None:
            context = self._context_of(parent)
        elif self._draws(name):
            context = _NOWHERE
        else:
            return NO_SPAN
        return _Opened(self._tracer.start_span(name, context, trace.SpanKind.SERVER, attributes))

    def span(self, name: str, attributes: Attributes = NONE) -> "_Opened | NoSpan":
        """Open a span within the current one; see `Tracing.span`."""
        if not trace.get_current_span().is_recording():
            return NO_SPAN
        return _Opened(self._tracer.start_span(name, attributes=attributes))

    def carrying(self, name: str, under_way: Iterable[object], attributes: Attributes = NONE) -> "_Opened | NoSpan":
        """Open a span for several at once; see `Tracing.carrying`."""
        spans = {one.get_span_context().span_id: one for one in under_way if isinstance(one, trace.Span)}
        recorded = [span for span in spans.values() if span.is_recording()]
        if not recorded:
            return _place_of(spans.values())
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(recorded[0]),
            trace.SpanKind.CLIENT,
            attributes,
            [trace.Link(one.get_span_context()) for one in recorded],
        )
        for other in recorded[1:]:
            other.add_link(span.get_span_context())
        return _Opened(span)

    def outgoing(self) -> Mapping[str, str]:
        """Return ``traceparent``, and ``tracestate`` where there is one; see `Tracing.outgoing`."""
        sent: dict[str, str] = {}
        self._propagator.inject(sent)
        return sent

    def _draws(self, name: str) -> bool:
        """Draw the id of a new trace, and return whether it is one that is recorded."""
        # Most are not: one that is made to be thrown away costs ten times as much.
        drawn = self._ids.generate_trace_id()
        if self._sampler.should_sample(_NOWHERE, drawn, name).decision is sampling.Decision.DROP:
            return False
        self._ids.drawn = drawn
        return True

    def _context_of(self, parent: Parent) -> Context:
        # Whoever asks for a record of all its requests costs us more than it costs itself.
        flags = parent.flags if not parent.is_sampled or self._may_ask() else parent.flags & ~trace.TraceFlags.SAMPLED
        context = trace.SpanContext(
            parent.trace_id,
            parent.span_id,
            is_remote=True,
            trace_flags=trace.TraceFlags(flags),
            trace_state=trace.TraceState(list(parent.state)),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())

    def _may_ask(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._asked = second, 0
        self._asked += 1
        return self._asked <= self._asked_a_second


def _place_of(spans: Iterable[trace.Span]) -> "_Opened | NoSpan":
    """Return the place of the first that is not recorded, so that whom we ask does not record it either."""
    contexts = (span.get_span_context() for span in spans)
    found = next((context for context in contexts if context.is_valid), None)
    return NO_SPAN if found is None else _Opened(trace.NonRecordingSpan(found))


def _exporter(options: OtlpOptions) -> SpanExporter:
    return OTLPSpanExporter(
        endpoint=options.endpoint,
        certificate_file=None if options.certificate is None else str(options.certificate),
        headers=options.headers,
        timeout=options.timeout_seconds,
    )


def _sampler(name: SamplerName, ratio: float) -> sampling.Sampler:
    match name:
        case "always_on":
            return sampling.ALWAYS_ON
        case "always_off":
            return sampling.ALWAYS_OFF
        case "parentbased_always_on":
            return sampling.DEFAULT_ON
        case "parentbased_always_off":
            return sampling.DEFAULT_OFF
        case "traceidratio":
            return sampling.TraceIdRatioBased(ratio)
    return sampling.ParentBasedTraceIdRatio(ratio)
