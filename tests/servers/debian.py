"""Packages of Debian that tests need, installed by one process at a time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = Path(tempfile.gettempdir()) / "ztfm-tests-apt.lock"


class NotInstalled(Exception):  # noqa: N818 - a state, as callers see it
    """A package cannot be installed here; the message says why."""


def can_install() -> bool:
    """Return whether this is Debian and we are root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextmanager
def alone(deadline: float) -> Iterator[None]:
    """Be the only one of the processes that run tests who installs; look again for what is missing inside.

    apt itself waits for dpkg's lock, not for that of its lists.

    Raises:
        NotInstalled: another process installs beyond the deadline, a value of ``time.monotonic``.
    """
    with _LOCK.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise NotInstalled("another process has not finished installing") from None
                time.sleep(0.1)
        yield


def apt(deadline: float, *words: str) -> None:
    """Run apt-get with these words until the deadline, a value of ``time.monotonic``.

    Raises:
        NotInstalled: it failed, or took longer.
    """
    left = max(1.0, deadline - time.monotonic())
    command = ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=60", "--no-install-recommends", *words]
    # Runlevel 1: a package that brings a server does not start it.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        subprocess.run(
            command, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=left
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise NotInstalled(f"apt-get {words[0]} failed: {last}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"apt-get {words[0]} took more than the time that was left, {left:.0f} s") from None
