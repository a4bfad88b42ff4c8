"""The console's sources with the packages that its lock file pins, in a folder where they may be built and checked.

`python -m tests.console.building` prints where the packages are, or why they are not.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.node import FOLDER, installed

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console"
BUILT = ROOT / "controlplane/api/console/built"

OLDEST_NODE = (20, 19)
_PINNED = ("package.json", "package-lock.json")
_SECONDS = 240.0


def packages() -> Path:
    """Return the folder of the console's packages, as pinned.

    Raises:
        NotInstalled: they are missing and cannot be installed.
    """
    return installed(SOURCES, _PINNED, FOLDER) / "node_modules"


def node_version() -> tuple[int, ...]:
    """Return the version of Node.js that is here, as numbers."""
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return tuple(int(part) for part in said.strip().removeprefix("v").split("."))


def copied(folder: Path) -> Path:
    """Return a copy of the sources in ``folder``, with their packages.

    Raises:
        NotInstalled: the packages are missing and cannot be installed, or Node.js is older than they ask for.
    """
    found = packages()
    if node_version() < OLDEST_NODE:
        raise NotInstalled(f"the console is built with Node.js {'.'.join(map(str, OLDEST_NODE))} or later")
    copy = folder / "console"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(found)
    return copy


def run(folder: Path, *words: str) -> str:
    """Return what a program of the packages says; fail with it where it fails."""
    program, *rest = words
    done = subprocess.run(
        [folder / "node_modules/.bin" / program, *rest],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


if __name__ == "__main__":
    try:
        print(packages())
    except NotInstalled as missing:
        sys.exit(str(missing))
