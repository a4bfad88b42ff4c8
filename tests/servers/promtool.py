"""Prometheus and its promtool for tests: found, or installed on a bare Debian machine.

`python -m tests.servers.promtool` prints where promtool is, or why there is none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise PromtoolMissing("promtool is not installed; set PROMTOOL_BIN, or run as root on Debian")
        _install()
        found = shutil.which("promtool")
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


def _install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends"]
    for words in (["update"], ["install", "prometheus"]):
        try:
            subprocess.run(
                ["apt-get", *options, *words],
                env=environment,
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_INSTALL_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            last = (error.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise PromtoolMissing(f"apt-get {words[0]} failed: {last}") from None
        except subprocess.TimeoutExpired:
            raise PromtoolMissing(f"apt-get {words[0]} took more than {_INSTALL_SECONDS:.0f} s") from None


if __name__ == "__main__":
    try:
        print(ensure_promtool())
    except PromtoolMissing as missing:
        sys.exit(str(missing))
