"""The settings of traces, under the names that OpenTelemetry has for them; `controlplane.settings` reads them."""

from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, field_validator


class TraceSettings(BaseModel):
    """How traces are recorded and sent, by the names that OpenTelemetry has for it: ``OTEL_*`` variables.

    They are read, and have to fit, only where ``ZTFM_TRACES`` wants traces: elsewhere they are for others.

    Attributes:
        service_name: what the spans of this control plane are found under.
        resource_attributes: what else each of them says of it: ``name=value`` pairs, separated by commas, with
            percent-encoded values.
        exporter_otlp_endpoint: base URL of the collector; ``/v1/traces`` is added.
        exporter_otlp_traces_endpoint: the whole URL instead.
        exporter_otlp_protocol: the one that is spoken.
        exporter_otlp_headers: sent with each export: ``name=value`` pairs, separated by commas, with percent-encoded
            values.
        exporter_otlp_certificate: PEM file with the authority of the collector's certificate; none for the system's.
        exporter_otlp_timeout: for one export, milliseconds.
        traces_sampler: which traces are recorded; those that begin with ``parentbased_`` keep to what the caller does.
        traces_sampler_arg: how many of them, for a sampler by a ratio: 0 to 1.
        bsp_max_queue_size: spans that wait to be sent at most; beyond it the oldest are lost.
        bsp_schedule_delay: how long a span waits at most until it is sent, milliseconds.
    """

    model_config = ConfigDict(frozen=True)

    service_name: str = Field(default="ztfm", min_length=1, max_length=256)
    resource_attributes: str = ""
    exporter_otlp_endpoint: str = "http://localhost:4318"
    exporter_otlp_traces_endpoint: str | None = None
    exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    exporter_otlp_headers: str = Field(default="", repr=False)
    exporter_otlp_certificate: Path | None = None
    exporter_otlp_timeout: float = Field(default=10_000.0, ge=1.0, le=60_000.0)
    traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = "parentbased_traceidratio"
    traces_sampler_arg: float = Field(default=1.0, ge=0.0, le=1.0)
    bsp_max_queue_size: int = Field(default=2048, ge=1, le=1_000_000)
    bsp_schedule_delay: float = Field(default=5_000.0, ge=1.0, le=60_000.0)

    @field_validator("exporter_otlp_endpoint", "exporter_otlp_traces_endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("resource_attributes", "exporter_otlp_headers")
    @classmethod
    def _is_in_pairs(cls, value: str) -> str:
        if any("=" not in pair for pair in value.split(",") if pair.strip()):
            raise ValueError("must be name=value pairs, separated by commas")
        return value

    @property
    def endpoint(self) -> str:
        """The URL that takes traces."""
        return self.exporter_otlp_traces_endpoint or f"{self.exporter_otlp_endpoint.rstrip('/')}/v1/traces"

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with each export."""
        return _pairs(self.exporter_otlp_headers)

    @property
    def resource(self) -> dict[str, str]:
        """What each span says of this control plane."""
        return {**_pairs(self.resource_attributes), "service.name": self.service_name}


def _pairs(text: str) -> dict[str, str]:
    parts = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    return {name.strip(): unquote(value.strip()) for name, _, value in parts}
