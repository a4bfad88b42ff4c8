"""Send a gateway's measurements to a collector over OTLP/HTTP, under OpenTelemetry's own names.

Needs the extra ``otel``; imported only where a collector was named.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from adapters.gateway.instruments import ALL, Instrument

_EVERY_SECONDS = 15.0
_PATIENCE_SECONDS = 5.0


class MeterRecorder:
    """A `adapters.gateway.metrics.Recorder` over a meter: of `sending`, or of a program's own provider.

    Args:
        meter: makes the histograms.
    """

    def __init__(self, meter: Meter) -> None:
        self._histograms = {
            one: meter.create_histogram(
                one.name, one.unit, one.description, explicit_bucket_boundaries_advisory=one.buckets
            )
            for one in ALL
        }

    def record(self, instrument: Instrument, value: float, attributes: dict[str, str]) -> None:
        """Take one measurement; what was measured is sent by another thread."""
        self._histograms[instrument].record(value, attributes)


@contextmanager
def sending(
    endpoint: str,
    *,
    service: str,
    headers: Mapping[str, str] | None = None,
    reader: MetricReader | None = None,
    every_seconds: float = _EVERY_SECONDS,
) -> Iterator[MeterRecorder]:
    """Send measurements for as long as the block lasts, and what is left at its end. It is nobody's global provider.

    Args:
        endpoint: whole URL that takes metrics, such as ``http://localhost:4318/v1/metrics``.
        service: name of this gateway, ``service.name``.
        headers: sent with them; may hold a secret.
        reader: collects them instead of sending, such as for a test.
        every_seconds: how often they are sent.
    """
    if reader is None:
        exporter = OTLPMetricExporter(endpoint, headers=dict(headers or {}), timeout=_PATIENCE_SECONDS)
        reader = PeriodicExportingMetricReader(exporter, every_seconds * 1000, _PATIENCE_SECONDS * 1000)
    provider = MeterProvider([reader], Resource({"service.name": service}), shutdown_on_exit=False)
    try:
        yield MeterRecorder(provider.get_meter("ztfm.gateway"))
    finally:
        provider.shutdown(timeout_millis=_PATIENCE_SECONDS * 1000)
