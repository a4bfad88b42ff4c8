"""What the reverse proxies of tests have in common: found or installed, started, waited for, and gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled, alone, apt, can_install

_INSTALL_SECONDS = 240.0
_START_SECONDS = 30.0
_PATHS = "/usr/sbin:/usr/local/sbin"


def ensure(program: str, package: str) -> Path:
    """Return a program; as root on Debian its package is installed first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be installed.
    """
    found = _find(program)
    if found is not None:
        return found
    if not can_install():
        raise NotInstalled(f"there is no {program} here; as root on Debian it is installed by itself")
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if (found := _find(program)) is None:
            apt(deadline, "update")
            apt(deadline, "install", package)
            found = _find(program)
    if found is None:
        raise NotInstalled(f"{package} was installed, and brought no {program}")
    return found


def _find(program: str) -> Path | None:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_PATHS}")
    return Path(found) if found else None


@contextmanager
def listening(
    command: Sequence[str | Path],
    port: int,
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    ends_with: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, from when it takes connections on a loopback port.

    Raises:
        RuntimeError: it ended, or took too long; with what it said.
    """
    said = folder / "said.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
    try:
        _wait(process, port, said)
        yield process
    finally:
        process.send_signal(ends_with)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {port}: {said.read_text(errors='replace')[-2000:]}")
