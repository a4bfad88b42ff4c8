"""Caddy for tests: found, or installed on a bare Debian machine; run with a configuration.

`python -m tests.servers.caddy` prints where it is, or why there is none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.proxies import ensure, listening


def ensure_caddy() -> Path:
    """Return caddy; as root on Debian it is installed first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be installed.
    """
    return ensure("caddy", "caddy")


@contextmanager
def caddy(configuration: Path, port: int) -> Iterator[None]:
    """Run caddy with a file, in that file's folder, for as long as the block lasts.

    Args:
        configuration: the file.
        port: where it listens by that file.

    Raises:
        NotInstalled: there is none here.
    """
    folder = configuration.parent
    command = [ensure_caddy(), "run", "--adapter", "caddyfile", "--config", configuration]
    own = {"XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    with listening(command, port, folder, own):
        yield


if __name__ == "__main__":
    try:
        print(ensure_caddy())
    except NotInstalled as missing:
        sys.exit(str(missing))
