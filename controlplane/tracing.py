"""Traces as the settings want them: recorded and sent to a collector, or nothing of all that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.settings import Settings
from controlplane.telemetry.tracing import UNTRACED, Tracing

if TYPE_CHECKING:
    from controlplane.telemetry.otlp import OtlpTracing

MISSING = "ZTFM_TRACES=otlp needs the package '{}': pip install 'ztfm[server,otel]'"


class TracingMissing(Exception):  # noqa: N818 - a state, as callers see it
    """The packages that record traces are not installed; the message says how to get them."""


def build_tracing(settings: Settings, product_version: str) -> "OtlpTracing | None":
    """Return what records traces; none where they are off, and then nothing of it is imported either.

    Raises:
        TracingMissing: its packages are not installed.
    """
    wanted = settings.otel
    if wanted is None or settings.traces == "off":
        return None
    try:
        from controlplane.telemetry.otlp import OtlpOptions, OtlpTracing
    except ModuleNotFoundError as error:
        raise TracingMissing(MISSING.format(error.name)) from None
    of_this_process = {
        "service.version": product_version,
        # Workers are told apart, and a process from the one before it.
        "service.instance.id": str(uuid4()),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": version("opentelemetry-sdk"),
    }
    return OtlpTracing(
        OtlpOptions(
            endpoint=wanted.endpoint,
            headers=wanted.headers,
            certificate=wanted.exporter_otlp_certificate,
            timeout_seconds=wanted.exporter_otlp_timeout / 1e3,
            resource={**of_this_process, **wanted.resource},
            sampler=wanted.traces_sampler,
            ratio=wanted.traces_sampler_arg,
            asked_a_second=settings.traces_asked_per_second,
            queue=wanted.bsp_max_queue_size,
            delay_seconds=wanted.bsp_schedule_delay / 1e3,
        )
    )


def or_untraced(tracing: Tracing | None) -> Tracing:
    """Return what records traces, or what records none."""
    return UNTRACED if tracing is None else tracing


@asynccontextmanager
async def recording(tracing: "OtlpTracing | None") -> AsyncIterator[None]:
    """Send what is recorded for as long as the context is entered, and then what is left."""
    if tracing is None:
        yield
        return
    async with tracing:
        yield
