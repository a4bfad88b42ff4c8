"""A Chromium for tests, from Debian: what people look at the console with.

`python -m tests.servers.chromium` prints where it is, or why there is none.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from tests.servers.debian import NotInstalled, alone, apt, can_install

_INSTALL_SECONDS = 300.0
_NAMES = ("chromium", "chromium-browser", "google-chrome")


class ChromiumMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no Chromium here; the message says why."""


def ensure_chromium() -> Path:
    """Return the program; installed from Debian when it is missing.

    Raises:
        ChromiumMissing: it is not there and cannot be installed.
    """
    found = _found()
    if found is not None:
        return found
    if not can_install():
        raise ChromiumMissing("chromium is not installed; as root on Debian it is installed by itself")
    try:
        deadline = time.monotonic() + _INSTALL_SECONDS
        with alone(deadline):
            if _found() is None:
                apt(deadline, "update")
                apt(deadline, "install", "chromium")
    except NotInstalled as missing:
        raise ChromiumMissing(str(missing)) from None
    found = _found()
    if found is None:
        raise ChromiumMissing("Debian's package chromium brought no program of that name")
    return found


def arguments() -> list[str]:
    """Return what it is started with: root has no sandbox, and nothing is asked of any other host."""
    own = ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
    return [*own, "--no-sandbox"] if os.geteuid() == 0 else own


def _found() -> Path | None:
    return next((Path(path) for name in _NAMES if (path := shutil.which(name))), None)


if __name__ == "__main__":
    try:
        print(ensure_chromium())
    except ChromiumMissing as missing:
        sys.exit(str(missing))
