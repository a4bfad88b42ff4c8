"""A PostgreSQL server for tests: found, or installed on a bare Debian machine; started for one session, then gone.

`python -m tests.servers.postgres` prints the folder of the binaries, or why there is none.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

_DEBIAN = Path("/usr/lib/postgresql")
_CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
_NO_CLUSTER = "create_main_cluster = false"
_INSTALL_SECONDS = 240.0
_START_SECONDS = 30.0
_QUICK = ("fsync=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=32MB")


class PostgresMissing(Exception):  # noqa: N818 - a state, as callers see it
    """There is no PostgreSQL here; the message says why."""


def find_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, the newest version first, or none."""
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()), None)


def ensure_binaries() -> Path:
    """Return the folder of the binaries; as root on Debian they are installed first when they are missing.

    Raises:
        PostgresMissing: there are none and they cannot be installed.
    """
    found = find_binaries()
    if found is None:
        if not can_install():
            raise PostgresMissing("PostgreSQL is not installed; as root on Debian it is installed by itself")
        try:
            found = _install()
        except NotInstalled as error:
            raise PostgresMissing(str(error)) from None
    if found is None:
        raise PostgresMissing("PostgreSQL was installed, but its binaries are not where Debian puts them")
    return found


def _install() -> Path | None:
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if found := find_binaries():
            return found
        apt(deadline, "update")
        # Debian's package would make and start a server of its own; the tests want the binaries alone.
        apt(deadline, "install", "postgresql-common")
        _CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        kept = _CLUSTERS.read_text() if _CLUSTERS.exists() else ""
        if _NO_CLUSTER not in kept.splitlines():
            _CLUSTERS.write_text(f"{kept}\n{_NO_CLUSTER}\n")
        apt(deadline, "install", "postgresql")
        return find_binaries()


@dataclass
class PostgresServer:
    """A server on a loopback port with a password of its own, that can be stopped and started again."""

    binaries: Path
    folder: Path
    user: str = "ztfm"
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make the cluster: every connection needs the password (SCRAM)."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        self._own(self.folder, secret)
        subprocess.run(
            [
                str(self.binaries / "initdb"),
                *("--pgdata", str(self.folder / "data"), "--username", self.user, "--pwfile", str(secret)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            env=_environment(),
            **_unprivileged(),
        )
        secret.unlink()

    def start(self) -> None:
        """Start it on its port, a free one the first time, and return when it answers."""
        attempts = 1 if self.port else 5
        for _ in range(attempts):
            port = self.port or free_port()
            if self._launch(port):
                self.port = port
                return
        raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, cutting off who is connected; `SIGQUIT` stops it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(timeout=_START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+asyncpg://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _launch(self, port: int) -> bool:
        settings = (
            *_QUICK,
            "listen_addresses=127.0.0.1",
            f"port={port}",
            "unix_socket_directories=",
            "max_connections=100",
        )
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=_environment(),
                **_unprivileged(),
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _is_ready(self) -> bool:
        # The last line of the server's own file says so; asking over the network would need a password.
        status = self.folder / "data" / "postmaster.pid"
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return False
        is_own = bool(lines) and self._process is not None and lines[0] == str(self._process.pid)
        return is_own and len(lines) >= 8 and lines[7].strip() == "ready"

    @staticmethod
    def _own(*paths: Path) -> None:
        who = _unprivileged()
        if who:
            for path in paths:
                os.chown(path, who["user"], who["group"])


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A new server with no data, in a folder of its own; both are gone afterwards.

    Raises:
        PostgresMissing: there is no PostgreSQL here.
    """
    server = PostgresServer(ensure_binaries(), Path(tempfile.mkdtemp(prefix="ztfm-postgres-")))
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        # Nothing is kept, so it need not be written down first.
        server.stop(signal.SIGQUIT)
        shutil.rmtree(server.folder, ignore_errors=True)


def _unprivileged() -> dict[str, Any]:
    # PostgreSQL refuses to run as root. 65534 is nobody on Debian; no account is needed.
    return {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


if __name__ == "__main__":
    try:
        print(ensure_binaries())
    except PostgresMissing as missing:
        sys.exit(str(missing))
