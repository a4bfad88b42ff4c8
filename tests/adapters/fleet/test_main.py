"""A fleet from a shell: killed, interrupted and gone on with; what it says to people and to programs."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from adapters.fleet.progress import Progress
from tests.adapters.fleet.conftest import journalled, trainers
from tests.support import ControlPlane, wait_until

Fleet = Callable[..., Path]


@pytest.fixture
def command(tmp_path: Path, admin: Path) -> Callable[..., list[str]]:
    """The command over a file."""

    def made(file: Path, *more: str) -> list[str]:
        station = str(tmp_path / "station")
        return [sys.executable, "-m", "adapters.fleet", str(file), "--out", station, "--admin", str(admin), *more]

    return made


def ran(command: list[str]) -> tuple[int, Any, str]:
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def begun(command: list[str], station: Path, lines: int) -> "subprocess.Popen[str]":
    """Start a command, and return once it wrote so many lines."""
    journal = station / "journal.ndjson"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def is_far() -> bool:
        assert process.poll() is None, process.communicate()
        return journal.exists() and journal.read_bytes().count(b"\n") >= lines

    wait_until(is_far)
    return process


def enrolled(plane: ControlPlane) -> int:
    return len(plane.run(plane.store.devices.page(limit=100_000)))


def test_a_run_that_is_killed_is_gone_on_with_and_enrols_nobody_twice(
    plane: ControlPlane, fleet: Fleet, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    file, before, station = fleet(trainers(80)), enrolled(plane), tmp_path / "station"
    for lines in (10, 40):
        process = begun(command(file), station, lines)
        process.kill()
        process.communicate()
    status, said, _ = ran(command(file))
    assert (status, said["ok"], said["failed"], said["left"]) == (0, True, 0, 0)
    assert 39 <= said["before"] < 80
    assert said["before"] + said["enrolled"] == 80
    assert enrolled(plane) - before == 80
    names = [entry["name"] for entry in journalled(station)]
    assert sorted(names) == sorted(f"cam-{number}" for number in range(80))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_finishes_what_is_under_way_and_says_how_to_go_on(
    plane: ControlPlane, fleet: Fleet, command: Callable[..., list[str]], tmp_path: Path, sent: signal.Signals
) -> None:
    file, before, station = fleet(trainers(60)), enrolled(plane), tmp_path / "station"
    process = begun(command(file, "--at-once", "3"), station, 10)
    process.send_signal(sent)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in out
    assert "finishing what is under way" in errors
    assert "Traceback" not in errors
    assert 9 <= enrolled(plane) - before == len(journalled(station)) < 60
    status, said, _ = ran(command(file))
    assert (status, said["found"], enrolled(plane) - before) == (0, 0, 60)


def test_a_second_interrupt_ends_at_once_what_would_take_long(
    fleet: Fleet, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    with TemporaryDirectory(prefix="ztfm-") as folder, socket.socket(socket.AF_UNIX) as mute:
        mute.bind(f"{folder}/mute.sock")
        mute.listen()
        # It takes connections, and answers nobody.
        more = ["--socket", f"{folder}/mute.sock"]
        process = begun(command(fleet(trainers(3)), *more), tmp_path / "station", 1)
        connection, _ = mute.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "under way" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped at once" in errors
    assert "Traceback" not in errors


def test_a_file_that_is_wrong_is_said_by_line_and_nothing_is_asked(
    plane: ControlPlane, fleet: Fleet, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    before = enrolled(plane)
    file = fleet([*trainers(2), ["cam-1", "trainer", "homes"], ["cam 3", "trainer", "homes"]])
    status, said, _ = ran(command(file))
    assert (status, said["ok"], said["ended"], said["failed"]) == (2, False, "invalid", 2)
    assert [(fault["line"], fault["name"]) for fault in said["errors"]] == [(4, "cam-1"), (5, "cam 3")]
    assert Path(said["errors_file"]).read_text().count("\n") == 3
    done = subprocess.run(command(file), capture_output=True, text=True, timeout=60, check=False)
    assert "line 4 (cam-1): its name is that of line 3." in done.stderr
    assert enrolled(plane) == before


def test_looking_through_a_file_enrols_nobody(
    plane: ControlPlane, fleet: Fleet, command: Callable[..., list[str]]
) -> None:
    before = enrolled(plane)
    status, said, _ = ran(command(fleet(trainers(3)), "--check"))
    assert (status, said["ok"], said["ended"], said["devices"]) == (0, True, "checked", 3)
    assert enrolled(plane) == before


def test_some_that_failed_make_the_command_fail(fleet: Fleet, command: Callable[..., list[str]]) -> None:
    status, said, _ = ran(command(fleet([*trainers(2), ["lost", "trainer", "nowhere"]])))
    assert (status, said["ok"], said["enrolled"], said["failed"]) == (1, False, 2, 1)


@pytest.mark.parametrize(
    "more", [["--admin", "/nowhere"], ["--at-once", "0"], ["--hours", "0"], ["--authority", "/nowhere.pem"]]
)
def test_what_cannot_be_used_is_said_in_a_line(
    fleet: Fleet, command: Callable[..., list[str]], more: list[str]
) -> None:
    status, said, errors = ran(command(fleet(trainers(1)), *more))
    assert (status, said["ok"], said["ended"]) == (2, False, "unusable")
    assert errors.startswith("adapters.fleet: ")
    assert errors.count("\n") == 1


def test_no_token_is_shown_or_kept(
    plane: ControlPlane, fleet: Fleet, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    good, spent = plane.token(["trainer"], "homes"), "ztfm-enrol-that-nobody-issued"
    rows = [["a", "trainer", "homes", good], ["b", "trainer", "homes", spent], ["c", "trainer", "homes", ""]]
    done = subprocess.run(
        command(fleet(rows, columns="name,roles,segment,token")), capture_output=True, text=True, check=False
    )
    kept = b"".join(path.read_bytes() for path in (tmp_path / "station").rglob("*") if path.is_file())
    assert "ztfm-enrol-" not in done.stdout + done.stderr
    assert b"ztfm-enrol-" not in kept
    assert done.returncode == 1


def test_the_help_has_an_example_and_says_that_there_is_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adapters.fleet", "--help"], capture_output=True, text=True, check=True
    )
    assert "Example: " in done.stdout
    assert "--json" in done.stdout


class Written:
    """Where progress is shown: a terminal or not."""

    def __init__(self, is_terminal: bool) -> None:
        self.text = ""
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing is held back."""


def test_progress_says_how_many_how_fast_and_how_long_still() -> None:
    progress = Progress(None, 1000, 100)
    assert progress.line(0.0, 0, 0) == "100 of 1,000 enrolled"
    assert progress.line(10.0, 90, 10) == "190 of 1,000 enrolled, 10 failed, 10 a second, 80 s left"
    # The rate is that of the last half minute, and not of the day.
    assert progress.line(50.0, 90, 10) == "190 of 1,000 enrolled, 10 failed"
    assert progress.line(51.0, 91, 10) == "191 of 1,000 enrolled, 10 failed, 1.0 a second, 13 min left"


def test_progress_is_one_line_on_a_terminal_and_now_and_then_one_elsewhere() -> None:
    terminal, log = Written(True), Written(False)
    for out in (terminal, log):
        progress = Progress(out, 100, 0)  # type: ignore[arg-type]
        for tenth in range(400):
            progress.show(tenth / 10, tenth // 10, 0)
        progress.end()
    assert terminal.text.count("\n") == 1
    assert terminal.text.count("\r") > 100
    assert (log.text.count("\r"), log.text.count("\n")) == (0, 2)
