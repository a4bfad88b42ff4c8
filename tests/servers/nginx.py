"""nginx for tests: found, or installed on a bare Debian machine; run with a configuration.

`python -m tests.servers.nginx` prints where it is, or why there is none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.proxies import ensure, listening


def ensure_nginx() -> Path:
    """Return nginx; as root on Debian it is installed first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be installed.
    """
    return ensure("nginx", "nginx-light")


@contextmanager
def nginx(configuration: Path, port: int) -> Iterator[None]:
    """Run nginx with a file, in that file's folder, for as long as the block lasts.

    Args:
        configuration: the file.
        port: where it listens by that file.

    Raises:
        NotInstalled: there is none here.
    """
    folder = configuration.parent
    command = [ensure_nginx(), "-p", folder, "-c", configuration, "-e", folder / "error.log", "-g", "daemon off;"]
    with listening(command, port, folder):
        yield


if __name__ == "__main__":
    try:
        print(ensure_nginx())
    except NotInstalled as missing:
        sys.exit(str(missing))
