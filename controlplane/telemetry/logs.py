"""Structured logs that cannot carry a secret: what looks like a token is replaced before it is written."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?")
_SECRET_NAMES = re.compile(r"token|secret|password|authorization|dpop|proof|private", re.IGNORECASE)
REDACTED = "[redacted]"


def redact(value: object) -> object:
    """Return ``value`` with every serialised JWT in its text replaced."""
    return _TOKEN.sub(REDACTED, value) if isinstance(value, str) else value


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: drop fields named like secrets, and tokens inside any text."""
    for name, value in event.items():
        event[name] = REDACTED if _SECRET_NAMES.search(name) else redact(value)
    return event


def configure_logs(level: str = "info", json: bool = True, stream: TextIO | None = None) -> None:
    """Send structured logs to ``stream`` (standard error by default), one JSON object or one line each."""
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stderr, format="%(levelname)s %(name)s %(message)s")
