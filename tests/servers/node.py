"""Programs of Node.js for tests, installed from npm as pinned by a lock file, each once, into `.tools/npm`."""

import fcntl
import hashlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.servers.debian import NotInstalled, alone, apt, can_install

FOLDER = Path(__file__).parents[2] / ".tools" / "npm"

_INSTALL_SECONDS = 240.0


def installed(pinned: Path, files: Sequence[str], into: Path) -> Path:
    """Return the folder of a program in ``into``; installed with npm when it is missing or another is pinned now.

    No script of any package is run.

    Args:
        pinned: folder with `package.json` and `package-lock.json`; its name is the program's.
        files: of that folder, all that the program needs.
        into: where programs are, each in a folder of its own.

    Raises:
        NotInstalled: it is not there and cannot be installed.
    """
    ensure_npm()
    wanted = hashlib.sha256(b"".join((pinned / name).read_bytes() for name in files)).hexdigest()
    folder = into / pinned.name
    stamp = folder / "stamp"
    into.mkdir(parents=True, exist_ok=True)
    with (into / f"{pinned.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in files:
                shutil.copy(pinned / name, folder)
            _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            stamp.write_text(wanted)
    return folder


def ensure_npm() -> None:
    """Install node and npm from Debian where they are missing.

    Raises:
        NotInstalled: they are missing and cannot be installed.
    """
    if shutil.which("node") and shutil.which("npm"):
        return
    if not can_install():
        raise NotInstalled("node and npm are not installed; as root on Debian they are installed by themselves")
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if not (shutil.which("node") and shutil.which("npm")):
            apt(deadline, "update")
            apt(deadline, "install", "nodejs", "npm")


def _npm(folder: Path, *words: str) -> None:
    try:
        subprocess.run(
            ["npm", *words],
            cwd=folder,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise NotInstalled(f"npm {words[0]} failed: {last}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"npm {words[0]} took more than {_INSTALL_SECONDS:.0f} s") from None
