"""HAProxy for tests: found, or installed on a bare Debian machine; run with a configuration.

`python -m tests.servers.haproxy` prints where it is, or why there is none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.proxies import ensure, listening


def ensure_haproxy() -> Path:
    """Return haproxy; as root on Debian it is installed first when it is missing.

    Raises:
        NotInstalled: there is none and it cannot be installed.
    """
    return ensure("haproxy", "haproxy")


@contextmanager
def haproxy(configuration: Path, port: int) -> Iterator[None]:
    """Run haproxy with a file, in that file's folder, for as long as the block lasts.

    Args:
        configuration: the file.
        port: where it listens by that file.

    Raises:
        NotInstalled: there is none here.
    """
    folder = configuration.parent
    with listening([ensure_haproxy(), "-db", "-f", configuration], port, folder):
        yield


if __name__ == "__main__":
    try:
        print(ensure_haproxy())
    except NotInstalled as missing:
        sys.exit(str(missing))
