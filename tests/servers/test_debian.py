import fcntl
import os
import shutil
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.servers import debian, postgres, promtool
from tests.servers.debian import NotInstalled, alone, apt, can_install


@pytest.fixture(autouse=True)
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A lock that no other tests hold."""
    monkeypatch.setattr(debian, "_LOCK", tmp_path / "lock")
    return tmp_path / "lock"


def test_only_root_on_debian_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    assert can_install()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not can_install()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not can_install()


def _hold(lock: Path, end: Connection) -> None:
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        end.send("holds")
        end.recv()


def test_whoever_comes_second_waits_and_gives_up_in_time(lock: Path) -> None:
    context = get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=_hold, args=(lock, there))
    other.start()
    try:
        assert here.recv() == "holds"
        with pytest.raises(NotInstalled, match="not finished"), alone(time.monotonic() + 0.2):
            pass
        here.send("done")
        with alone(time.monotonic() + 30):
            pass
    finally:
        other.join(10)


@pytest.mark.parametrize(("tool", "finds"), [(postgres, "find_binaries"), (promtool.shutil, "which")])
def test_what_another_process_installed_meanwhile_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: object, finds: str
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("it installs")

    found = iter([None, tmp_path])
    module = postgres if tool is postgres else promtool
    monkeypatch.delenv("PROMTOOL_BIN", raising=False)
    monkeypatch.setattr(module, "can_install", lambda: True)
    monkeypatch.setattr(module, "apt", fail)
    monkeypatch.setattr(tool, finds, lambda *_: next(found))
    ensure = postgres.ensure_binaries if tool is postgres else promtool.ensure_promtool
    assert ensure() == tmp_path


def test_no_service_is_started_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$RUNLEVEL $DEBIAN_FRONTEND $@" > {tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    apt(time.monotonic() + 10, "install", "something")
    said = (tmp_path / "asked").read_text()
    assert said.startswith("1 noninteractive ")
    assert said.endswith("install something\n")
