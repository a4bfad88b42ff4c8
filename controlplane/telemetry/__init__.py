"""Metrics and logs: what operators see."""

from controlplane.telemetry.logs import configure_logs
from controlplane.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logs"]
