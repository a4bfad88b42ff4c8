"""A PostgreSQL for benchmarks: on a loopback port, with its usual care for what it commits, and gone afterwards."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_DEBIAN = Path("/usr/lib/postgresql")
_START_SECONDS = 30.0
_NOBODY = 65534


def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, the newest version first, or none."""
    found = shutil.which("initdb")
    folders = sorted(_DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    folders += [Path(found).resolve().parent] if found else []
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


def lacks_postgres() -> str:
    """Say why there is none here; nothing where there is."""
    return "" if binaries() is not None else "there is no PostgreSQL: apt-get install postgresql"


@contextmanager
def postgres() -> Iterator[tuple[str, int]]:
    """Run a server until the block ends; gives its SQLAlchemy URL, and its process.

    Raises:
        RuntimeError: it does not start.
    """
    folder, password = Path(tempfile.mkdtemp(prefix="ztfm-bench-pg-")), secrets.token_hex(16)
    found, who = binaries(), _unprivileged()
    if found is None:
        raise RuntimeError(lacks_postgres())
    try:
        (folder / "password").write_text(password)
        for path in (folder, folder / "password"):
            os.chown(path, who.get("user", -1), who.get("group", -1))
        made: list[str | Path] = [found / "initdb", "-D", folder / "data", "-U", "ztfm"]
        made += ["--pwfile", folder / "password", "--auth", "scram-sha-256"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **who)
        port = _free_port()
        options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [found / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, cwd=folder, **who
            )
        try:
            _wait(server, port, folder)
            yield f"postgresql+asyncpg://ztfm:{password}@127.0.0.1:{port}/postgres", server.pid
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        # The last line of the server's own file says so.
        lines = _lines(folder / "data" / "postmaster.pid")
        if len(lines) >= 8 and lines[3].strip() == str(port) and lines[7].strip() == "ready":
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text(errors='replace')[-1000:]}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged() -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
