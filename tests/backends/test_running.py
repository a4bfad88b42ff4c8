"""The command that tries all backends: toy ones, in processes of their own as the real ones are."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.backends.environments import ROOT, names

DRIVER = """
import subprocess, sys
from pathlib import Path
from tests.backends.__main__ import main

def make(name):
    if name == "uninstallable":
        raise subprocess.CalledProcessError(1, ["pip", "install"])
    return Path(sys.executable)

sys.exit(main(["--json"], root=Path(sys.argv[1]), make=make))
"""

PASSES = "import pytest\n\n@pytest.mark.backends\ndef test_it(): {0}\n"
HANGS = "open({0!r}, 'w').write(str(__import__('subprocess').Popen({1}, start_new_session=True).pid)); {2}"


def _backends(root: Path, **bodies: str) -> None:
    for name, body in bodies.items():
        folder = root / name.replace("__", "/")
        folder.mkdir(parents=True)
        (folder / f"test_{folder.name}.py").write_text(PASSES.format(body))


def _start(root: Path) -> "subprocess.Popen[str]":
    # Plugins of pytest are not what is tried here, and take a while to load.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", DRIVER, str(root)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def _ended(root: Path) -> tuple[int, dict[str, tuple[int, str]]]:
    process = _start(root)
    said, _ = process.communicate(timeout=120)
    outcomes = json.loads(said)["outcomes"]
    return process.returncode, {one["backend"]: (one["passed"], " ".join(one["faults"])) for one in outcomes}


def test_backends_that_hold_are_counted_in_both_interpreters(tmp_path: Path) -> None:
    _backends(tmp_path, first="pass", first__inside="pass", second="pass")
    assert _ended(tmp_path) == (0, {"first": (2, ""), "second": (1, "")})


def test_after_one_that_fails_the_next_is_tried_and_the_command_fails(tmp_path: Path) -> None:
    _backends(tmp_path, a="assert False", b__inside="assert False", c="pass", uninstallable="pass")
    (tmp_path / "empty").mkdir()
    status, found = _ended(tmp_path)
    assert (status, list(found)) == (1, ["a", "b", "c", "empty", "uninstallable"])
    assert [passed for passed, _ in found.values()] == [0, 0, 1, 0, 0]
    assert "ended with status 1" in found["a"][1] and "ended with status 1" in found["b"][1]
    assert (found["c"][1], found["empty"][1][:15]) == ("", "it has no tests")
    assert "environment cannot be made" in found["uninstallable"][1]


def test_tests_that_were_skipped_are_none(tmp_path: Path) -> None:
    _backends(tmp_path, skipping="pytest.skip('its package is missing')")
    status, found = _ended(tmp_path)
    assert (status, found["skipping"][0]) == (1, 0)
    assert "no test ran" in found["skipping"][1]


def test_a_backend_that_leaves_a_process_behind_fails_and_the_process_ends(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    _backends(tmp_path / "b", leaving=HANGS.format(str(left), ["sleep", "1000"], "None"))
    status, found = _ended(tmp_path / "b")
    assert (status, found["leaving"]) == (1, (1, "it left processes behind: sleep 1000"))
    assert not _is_there(int(left.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_and_is_told_in_the_status(number: signal.Signals, tmp_path: Path) -> None:
    started = tmp_path / "pid"
    _backends(tmp_path / "b", hanging=HANGS.format(str(started), ["sleep", "1000"], "__import__('time').sleep(1000)"))
    process = _start(tmp_path / "b")
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(said)) == (130, {"outcomes": [], "interrupted": True})
    assert not _is_there(int(started.read_text()))


def test_each_backend_has_tests_and_says_what_it_needs() -> None:
    root = Path(__file__).parent
    assert names()
    for name in names():
        assert (root / "requirements" / f"{name}.txt").exists(), f"{name} has no requirements"
        assert list((root / name).rglob("test_*.py")), f"{name} has no tests"


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
