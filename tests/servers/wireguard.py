"""WireGuard for tests: its tools from Debian, and an interface in a program, for kernels that have none of their own.

`python -m tests.servers.wireguard` prints where the program is, or why there is none. It is built once from its Go
module, as pinned, into `.tools/wireguard`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import NotInstalled
from tests.servers.namespaces import Node
from tests.servers.proxies import ensure

PINNED = Path(__file__).parent / "go" / "wireguard"
FOLDER = Path(__file__).parents[2] / ".tools" / "wireguard"

_MODULE = "golang.zx2c4.com/wireguard"
_SECONDS = 240.0
_START_SECONDS = 20.0


class WireGuardMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no WireGuard here; the message says why."""


def ensure_tools() -> None:
    """Return when `wg` is there; as root on Debian it is installed first when it is missing.

    Raises:
        WireGuardMissing: it is not and cannot be installed.
    """
    try:
        ensure("wg", "wireguard-tools")
    except NotInstalled as error:
        raise WireGuardMissing(str(error)) from None


def ensure_wireguard() -> Path:
    """Return the program that is an interface; built when it is missing or another is pinned now.

    Raises:
        WireGuardMissing: it is not there and cannot be built.
    """
    if shutil.which("go") is None or not Path("/dev/net/tun").exists():
        raise WireGuardMissing("WireGuard is built with Go and needs /dev/net/tun, and one of them is missing here")
    pinned = hashlib.sha256((PINNED / "go.sum").read_bytes()).hexdigest()[:16]
    program = FOLDER / f"wireguard-{pinned}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(program, os.X_OK):
            command = ["go", "build", "-mod=readonly", "-o", str(program), _MODULE]
            try:
                subprocess.run(command, cwd=PINNED, check=True, capture_output=True, text=True, timeout=_SECONDS)
            except subprocess.CalledProcessError as error:
                raise WireGuardMissing(f"it cannot be built: {error.stderr.strip()[-300:]}") from None
            except subprocess.TimeoutExpired:
                raise WireGuardMissing(f"it was not built in {_SECONDS:.0f} s") from None
    return program


@contextmanager
def wireguard_interface(node: Node, name: str) -> Iterator[None]:
    """An interface of a node with no peers, which is gone afterwards.

    Args:
        node: in whose namespace.
        name: of the interface; its socket has it too, so that it must be this test's alone.

    Raises:
        WireGuardMissing: there is none here.
    """
    program = ensure_wireguard()
    ensure_tools()
    quiet = {**os.environ, "LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"}
    process = node.begin([str(program), "--foreground", name], env=quiet, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_there(node, name):
            if process.poll() is not None or time.monotonic() > deadline:
                raise WireGuardMissing("the program did not make an interface")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _is_there(node: Node, name: str) -> bool:
    try:
        node.run("wg", "show", name, "dump")
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    try:
        print(ensure_wireguard())
    except WireGuardMissing as missing:
        sys.exit(str(missing))
