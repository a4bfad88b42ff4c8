"""A node of Hardhat for tests: an EVM chain that makes a block of each transaction, installed from npm as pinned.

`python -m tests.servers.hardhat` prints where it is, or why there is none. What it needs is fetched once, into
`.tools/npm`, and after that no network is used.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.debian import NotInstalled
from tests.servers.node import FOLDER, installed
from tests.servers.ports import free_port

START_SECONDS = 60.0
PINNED = Path(__file__).parent / "npm" / "hardhat"

_FILES = ("package.json", "package-lock.json", "hardhat.config.js")


class HardhatMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no Hardhat here; the message says why."""


def ensure_hardhat() -> Path:
    """Return the folder of Hardhat; installed with npm when it is missing or another is pinned now.

    Raises:
        HardhatMissing: it is not there and cannot be installed.
    """
    try:
        return installed(PINNED, _FILES, FOLDER)
    except NotInstalled as missing:
        raise HardhatMissing(str(missing)) from None


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


if __name__ == "__main__":
    try:
        print(ensure_hardhat())
    except HardhatMissing as missing:
        sys.exit(str(missing))
