"""TPMs in software for tests: swtpm and tpm2-pytss, found or installed on a bare Debian machine.

`python -m tests.servers.swtpm` prints that they are there, or why not. tpm2-pytss has no wheels: it is compiled once,
against the TSS of the machine, into `.tools/tpm2-pytss`, so that nobody needs a compiler to install what is tested.
"""

import fcntl
import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.attesting.interface import CannotAttest
from adapters.attesting.software import SoftwareMaker, SoftwareTpm, find_programs, running
from adapters.attesting.tss import library
from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

PINNED = "tpm2-pytss==3.0.0"
FOLDER = Path(__file__).parents[2] / ".tools" / "tpm2-pytss"

_PROGRAMS = ("swtpm", "swtpm-tools", "libtss2-tcti-swtpm0")
_COMPILES = ("libtss2-dev", "gcc", "libc6-dev", "pkg-config", "python3-dev")
_INSTALL_SECONDS = 240.0


class SwtpmMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There are no TPMs in software here; the message says why."""


def ensure_swtpm() -> None:
    """Make sure that there are swtpm and tpm2-pytss; as root on Debian they are installed when they are missing.

    Raises:
        SwtpmMissing: they are not there and cannot be installed.
    """
    deadline = time.monotonic() + _INSTALL_SECONDS
    try:
        _ensure_programs(deadline)
        _ensure_library(deadline)
    except (CannotAttest, NotInstalled) as error:
        raise SwtpmMissing(str(error)) from None


@contextmanager
def software_tpm(folder: Path, maker: SoftwareMaker) -> Iterator[SoftwareTpm]:
    """A TPM of its own that runs until the end of the context; its state stays in ``folder``.

    Args:
        folder: an empty one, or one of before: then it is the same TPM, started anew.
        maker: who certifies it.

    Raises:
        SwtpmMissing: there are none here.
    """
    ensure_swtpm()
    if not (folder / "tpm2-00.permall").exists():
        maker.make(folder)
    with running(folder, _two_ports) as tpm:
        yield tpm


def _two_ports() -> int:
    """A free even port with a free one after it."""
    port = free_port()
    while port % 2 or free_port() != port + 1:
        port = free_port()
    return port


def _ensure_programs(deadline: float) -> None:
    try:
        find_programs()
    except CannotAttest as missing:
        if not can_install():
            raise CannotAttest(f"{missing}; as root on Debian it is installed by itself") from None
        with alone(deadline):
            try:
                find_programs()
            except CannotAttest:
                apt(deadline, "update")
                apt(deadline, "install", *_PROGRAMS)
        find_programs()


def _ensure_library(deadline: float) -> None:
    if _is_importable():
        return
    if not can_install():
        library()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_importable():
            return
        with alone(deadline):
            apt(deadline, "update")
            apt(deadline, "install", *_COMPILES)
        _compile(deadline)
    library()


def _is_importable() -> bool:
    """Whether tpm2-pytss is in the environment, or was compiled before."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    importlib.invalidate_caches()
    try:
        library()
    except CannotAttest:
        return False
    return True


def _compile(deadline: float) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(FOLDER), PINNED]
    left = max(1.0, deadline - time.monotonic())
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=left)
    except subprocess.CalledProcessError as error:
        raise NotInstalled(f"{PINNED} cannot be compiled: {error.stderr.strip()[-500:]}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{PINNED} was not compiled within {left:.0f} s") from None


if __name__ == "__main__":
    try:
        ensure_swtpm()
        print("swtpm and tpm2-pytss are there")
    except SwtpmMissing as missing:
        sys.exit(str(missing))
