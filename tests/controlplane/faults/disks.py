"""A disk of a few megabytes, which a test fills."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILLER = "filler"


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a file system of that size and give its folder, whose path is short; skip where none can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="ztfm-"))
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "ztfm-test", str(folder)]
    try:
        if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a file system of its own needs root and mount")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)
    finally:
        folder.rmdir()


def fill(folder: Path) -> None:
    """Take all space that is left."""
    chunk = bytes(65_536)
    with (folder / FILLER).open("ab", buffering=0) as file:
        try:
            while True:
                file.write(chunk)
        except OSError as error:
            assert error.errno == errno.ENOSPC


def free(folder: Path) -> None:
    """Give it back."""
    (folder / FILLER).unlink()
