"""Reverse proxies for tests are found, or it is said why there is none; what does not start says why."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import proxies, wheels
from tests.servers.debian import NotInstalled
from tests.servers.ports import free_port


def test_a_program_is_found_where_administrators_have_it() -> None:
    assert proxies.ensure("sh", "dash").name == "sh"


def test_a_program_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "can_install", lambda: False)
    with pytest.raises(NotInstalled, match="no ztfm-no-such-program here"):
        proxies.ensure("ztfm-no-such-program", "none")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is somebody else\\'s')"]
    with pytest.raises(RuntimeError, match="somebody else's"), proxies.listening(command, free_port(), tmp_path):
        pass


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with proxies.listening(command, port, tmp_path) as process:
        assert process.poll() is None
    assert process.returncode is not None


def test_a_wheel_with_another_digest_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wheels, "FOLDER", tmp_path / "wheels")

    def refuse(command: list[str], **_options: object) -> None:
        assert "--require-hashes" in command
        raise subprocess.CalledProcessError(1, command, stderr=b"THESE PACKAGES DO NOT MATCH THE HASHES\n")

    monkeypatch.setattr(wheels.subprocess, "run", refuse)
    with pytest.raises(NotInstalled, match="DO NOT MATCH"):
        wheels.ensure(wheels.TRAEFIK._replace(digest="0" * 64))
    assert list((tmp_path / "wheels").iterdir()) == []
