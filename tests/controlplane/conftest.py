import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from controlplane.telemetry import configure_logs


@pytest.fixture
def stream() -> io.StringIO:
    """Where `logged` is written."""
    return io.StringIO()


@pytest.fixture
def logged(stream: io.StringIO) -> Iterator[io.StringIO]:
    """Everything that anybody logs, libraries included, as it would be written."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    kept = structlog.get_config()
    configure_logs("debug", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    root.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**kept)
