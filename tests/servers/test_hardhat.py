import os
import shutil
from pathlib import Path

import pytest

from tests.servers import hardhat
from tests.servers.hardhat import HardhatMissing, ensure_hardhat, running_hardhat


def test_a_node_has_a_chain_that_ends_with_it(tmp_path: Path) -> None:
    try:
        ensure_hardhat()
    except HardhatMissing as missing:
        pytest.skip(str(missing))
    with running_hardhat(tmp_path) as node:
        assert int(node.ask("eth_chainId"), 16) == 31337
        node.ask("evm_mine")
        assert int(node.ask("eth_blockNumber"), 16) == 1
        node.kill()
        node.start()
        assert int(node.ask("eth_blockNumber"), 16) == 0
        pid = node._process.pid if node._process else 0
    assert not Path(f"/proc/{pid}").exists()


def test_without_npm_and_without_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HardhatMissing, match="as root on Debian"):
        ensure_hardhat()


def test_an_installation_that_fails_says_why_and_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho 'npm error: no network' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(hardhat, "FOLDER", tmp_path / "tools")
    for _ in range(2):
        with pytest.raises(HardhatMissing, match="npm ci failed: npm error: no network"):
            ensure_hardhat()


def test_what_is_installed_is_not_installed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "npm"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    (tmp_path / "node").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(hardhat, "FOLDER", tmp_path / "tools")
    assert ensure_hardhat() == ensure_hardhat()
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.startswith("ci --ignore-scripts")
