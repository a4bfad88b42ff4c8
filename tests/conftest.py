"""What all tests share."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.support import ControlPlane, running


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands that run within this process set up the log; what they set, and whom they gave it to, ends with them."""
    kept = structlog.get_config()
    configure = structlog.configure

    def _for_now(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", _for_now)
    yield
    configure(**kept)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """A control plane for the whole session; callers are not slowed down by rate limits."""
    with running() as found:
        yield found
