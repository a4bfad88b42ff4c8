import io
import threading

import pytest


class _Own(io.StringIO):
    """Keeps what the test's thread and those that it starts write; control planes of other tests go on beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() in self._others else super().write(text)


@pytest.fixture
def stream() -> io.StringIO:
    """Where `logged` is written: by the test, and by nobody else who logs."""
    return _Own()
