"""One node of Hardhat for all tests of a process that do not end theirs: each test has a contract of its own."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.servers.hardhat import HardhatMissing, HardhatNode, ensure_hardhat


def new_hardhat(folder: Path) -> HardhatNode:
    """Return a node that has not been started; the test is skipped where there is no Hardhat."""
    try:
        return HardhatNode(ensure_hardhat(), folder / "hardhat.log")
    except HardhatMissing as missing:
        pytest.skip(str(missing))


@cache
def shared_hardhat() -> HardhatNode:
    """Return a node that runs until the process ends."""
    node = new_hardhat(Path(tempfile.mkdtemp(prefix="ztfm-hardhat-")))
    atexit.register(node.kill)
    node.start()
    return node
