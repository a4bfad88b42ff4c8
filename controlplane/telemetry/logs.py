"""Structured logs that cannot carry a secret: what looks like a token is replaced before it is written."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

_SECRET = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}|ztfm-enrol-[A-Za-z0-9_-]+|(?i:bearer|dpop)\s+[A-Za-z0-9._~+/-]{16,}"
)
_SECRET_NAMES = re.compile(r"token|secret|password|authorization|dpop|proof|private", re.IGNORECASE)
REDACTED = "[redacted]"


def redact(value: object) -> object:
    """Return ``value`` with every serialised JWT, enrolment token and bearer token in its texts replaced."""
    if isinstance(value, str):
        return _SECRET.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {name: REDACTED if _is_secret(name) else redact(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


def add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: say to which trace and span a line belongs, where there is one."""
    # Where traces are off nothing has loaded it, and nothing is to.
    tracing = sys.modules.get("opentelemetry.trace")
    if tracing is not None:
        context = tracing.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
            event["span_id"] = f"{context.span_id:016x}"
    return event


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: drop fields named like secrets, and tokens inside any text."""
    for name, value in event.items():
        event[name] = REDACTED if _is_secret(name) else redact(value)
    return event


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAMES.search(name) is not None


def configure_logs(level: str = "info", json: bool = True, stream: TextIO | None = None) -> None:
    """Send structured logs to ``stream`` (standard error by default), one JSON object or one line each.

    What libraries log through `logging` takes the same way, from warnings up, so that it is redacted too.
    """
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, redact_event, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, renderer],
        )
    )
    root = logging.getLogger()
    for earlier in [item for item in root.handlers if getattr(item, "is_ours", False)]:
        root.removeHandler(earlier)
    handler.is_ours = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
