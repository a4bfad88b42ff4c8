"""Open what somebody else may have put in the place of a file: nothing that waits, or that never ends."""

import os
import stat
from io import BufferedReader
from pathlib import Path


class NoPlainFileError(OSError):
    """What lies there is a pipe, a device, a socket or a folder."""


def open_plain(path: Path) -> BufferedReader:
    """Return a file, opened for reading.

    A pipe that nobody writes to would be waited for, and a device may give bytes for ever.

    Raises:
        NoPlainFileError: something else lies there.
        OSError: it cannot be opened.
    """
    # It waits for nobody where it is a pipe; of a plain file it changes nothing.
    found = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise NoPlainFileError(f"{path} is no plain file: restore it from where it came")
        return os.fdopen(found, "rb")
    except BaseException:
        os.close(found)
        raise
