"""Prometheus and its promtool for tests: found, or installed on a bare Debian machine.

`python -m tests.servers.promtool` prints where promtool is, or why there is none.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from tests.servers.debian import NotInstalled, alone, apt, can_install

_INSTALL_SECONDS = 240.0


class PromtoolMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no promtool here; the message says why."""


def ensure_promtool() -> Path:
    """Return promtool: ``PROMTOOL_BIN``, then ``PATH``; as root on Debian it is installed when it is missing.

    Raises:
        PromtoolMissing: it is not there and cannot be installed.
    """
    named = os.environ.get("PROMTOOL_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise PromtoolMissing(f"PROMTOOL_BIN names {named}, which cannot be run")
        return Path(named)
    found = shutil.which("promtool")
    if found is None:
        if not can_install():
            raise PromtoolMissing("promtool is not installed; set PROMTOOL_BIN, or run as root on Debian")
        try:
            found = _install()
        except NotInstalled as error:
            raise PromtoolMissing(str(error)) from None
    if found is None:
        raise PromtoolMissing("Debian's package prometheus was installed, but brought no promtool")
    return Path(found)


def find_prometheus() -> Path | None:
    """Return the server beside promtool or on ``PATH``, or none."""
    named = os.environ.get("PROMTOOL_BIN")
    beside = Path(named).with_name("prometheus") if named else None
    if beside is not None and os.access(beside, os.X_OK):
        return beside
    found = shutil.which("prometheus")
    return Path(found) if found else None


def _install() -> str | None:
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if found := shutil.which("promtool"):
            return found
        apt(deadline, "update")
        apt(deadline, "install", "prometheus")
        return shutil.which("promtool")


if __name__ == "__main__":
    try:
        print(ensure_promtool())
    except PromtoolMissing as missing:
        sys.exit(str(missing))
