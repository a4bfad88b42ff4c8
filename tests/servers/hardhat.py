"""A node of Hardhat for tests: an EVM chain that makes a block of each transaction, installed from npm as pinned.

`python -m tests.servers.hardhat` prints where it is, or why there is none. What it needs is fetched once, into
`.tools/npm`, and after that no network is used.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

START_SECONDS = 60.0
PINNED = Path(__file__).parent / "npm" / "hardhat"
FOLDER = Path(__file__).parents[2] / ".tools" / "npm"

_INSTALL_SECONDS = 240.0
_FILES = ("package.json", "package-lock.json", "hardhat.config.js")


class HardhatMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no Hardhat here; the message says why."""


def ensure_hardhat() -> Path:
    """Return the folder of Hardhat; installed with npm when it is missing or another is pinned now.

    Raises:
        HardhatMissing: it is not there and cannot be installed.
    """
    _ensure_npm()
    wanted = hashlib.sha256(b"".join((PINNED / name).read_bytes() for name in _FILES)).hexdigest()
    folder = FOLDER / "hardhat"
    stamp = folder / "stamp"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "hardhat.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in _FILES:
                shutil.copy(PINNED / name, folder)
            _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            stamp.write_text(wanted)
    return folder


class HardhatNode:
    """A node that runs, can be killed and started again. A chain lives no longer than its process."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder, self._log, self._port = folder, log, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of its JSON-RPC."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, with an empty chain, and wait until it answers."""
        environment = {
            **os.environ,
            "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true",
            "XDG_DATA_HOME": str(self._log.parent),
            "XDG_CONFIG_HOME": str(self._log.parent),
            "XDG_CACHE_HOME": str(self._log.parent),
        }
        program = self._folder / "node_modules" / "hardhat" / "internal" / "cli" / "cli.js"
        command = ["node", str(program), "node", "--hostname", "127.0.0.1", "--port", str(self._port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with its chain."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)
            self._process = None

    def ask(self, method: str, given: Sequence[Any] = ()) -> Any:
        """Return what it answers to a request of JSON-RPC."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(given)}).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=10) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer["result"]

    def _answers(self) -> bool:
        try:
            return bool(self.ask("eth_chainId"))
        except OSError:
            return False


@contextmanager
def running_hardhat(folder: Path) -> Iterator[HardhatNode]:
    """Run a node until the end of the context.

    Args:
        folder: for its log.

    Raises:
        HardhatMissing: there is none here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    node = HardhatNode(ensure_hardhat(), folder / "hardhat.log")
    node.start()
    try:
        yield node
    finally:
        node.kill()


def _ensure_npm() -> None:
    if shutil.which("node") and shutil.which("npm"):
        return
    if not can_install():
        raise HardhatMissing("node and npm are not installed; as root on Debian they are installed by themselves")
    deadline = time.monotonic() + _INSTALL_SECONDS
    try:
        with alone(deadline):
            if not (shutil.which("node") and shutil.which("npm")):
                apt(deadline, "update")
                apt(deadline, "install", "nodejs", "npm")
    except NotInstalled as error:
        raise HardhatMissing(str(error)) from None


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
        raise HardhatMissing(f"npm {words[0]} failed: {last}") from None
    except subprocess.TimeoutExpired:
        raise HardhatMissing(f"npm {words[0]} took more than {_INSTALL_SECONDS:.0f} s") from None


if __name__ == "__main__":
    try:
        print(ensure_hardhat())
    except HardhatMissing as missing:
        sys.exit(str(missing))
