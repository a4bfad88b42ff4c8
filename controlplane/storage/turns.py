"""Whose turn it is to write to a SQLite file, among the processes that have it open.

SQLite lets one write at a time, and lets the others sleep ever longer until they look again. Where several processes
write all the time, that is a long tail; here they look again at once.
"""

import fcntl
import os
import time
from pathlib import Path

LOOK_SECONDS = 0.0002


class Turn:
    """A lock beside the database file. It ends with its holder, and whoever does not know it still has SQLite's own.

    Args:
        database: the file.

    Raises:
        OSError: its folder cannot be written.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(f"{database.name}-turn")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, seconds: float) -> None:
        """Return once it is ours; blocking.

        Raises:
            TimeoutError: others did not end within ``seconds``.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError("other writers did not end in time") from None
                time.sleep(LOOK_SECONDS)
            else:
                return

    def give(self) -> None:
        """Let others write."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it back for good."""
        os.close(self._descriptor)
