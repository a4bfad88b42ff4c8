"""The file as a whole: all that is wrong with it is found at once, before anything is asked, in little memory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.fleet.errors import Fault, FleetError
from adapters.fleet.files import FleetFile, Looked, stated_as
from adapters.fleet.lines import Line
from tests.adapters.fleet.conftest import trainers

Fleet = Callable[..., Path]


def looked(path: Path, done: dict[str, int] | None = None, *, issues: bool = True) -> tuple[Looked, list[Fault]]:
    faults: list[Fault] = []
    with FleetFile(path) as file:
        return file.look(faults.append, done or {}, issues=issues), faults


def test_all_that_is_wrong_is_said_at_once_with_its_lines(fleet: Fleet) -> None:
    rows = [
        ["cam-1", "trainer", "homes", "t1", ""],
        ["CAM-1", "trainer", "homes", "t2", ""],
        ["cam-2", "trainer", "homes", "t1", ""],
        ["cam-3", "NO", "homes", "", ""],
        ["cam-4", "trainer", "homes", "", "nowhere.pem"],
    ]
    found, faults = looked(fleet(rows, columns="name,roles,segment,token,key"))
    assert [(one.line, one.name, one.what) for one in faults] == [
        (3, "CAM-1", "its name is that of line 2"),
        (4, "cam-2", "its token is that of line 2"),
        (5, "cam-3", "its roles cannot be one"),
        (6, "cam-4", "the file of its key cannot be read: No such file or directory"),
    ]
    assert (found.lines, found.faults) == (4, 4)


def test_tokens_are_wanted_for_those_that_show_nothing_and_are_not_enrolled(fleet: Fleet) -> None:
    rows = [*([*row, ""] for row in trainers(5)), ["gate", "gateway", "core", ""], ["own", "trainer", "homes", "t"]]
    done = {"cam-0": stated_as(Line(number=0, name="cam-0", roles=["trainer"], segment="homes"))}
    found, faults = looked(fleet(rows, columns="name,roles,segment,token"), done)
    assert faults == []
    assert dict(found.wanted) == {(("trainer",), "homes"): 4, (("gateway",), "core"): 1}
    assert (found.lines, found.before) == (7, 1)


def test_a_file_without_devices_is_wrong(fleet: Fleet) -> None:
    assert [str(fault)[:8] for fault in looked(fleet([]))[1]] == ["the file"]


def test_a_file_that_changes_while_it_is_read_is_not_gone_on_with(fleet: Fleet) -> None:
    path = fleet(trainers(3))
    with FleetFile(path) as file:
        file.look(lambda _: None, {}, issues=True)
        path.write_text(path.read_text() + "cam-9,trainer,homes\n")
        with pytest.raises(FleetError, match="changed"):
            list(file.again())


@pytest.mark.parametrize("name", ["fleet.xlsx", "fleet", "nobody.csv"])
def test_what_is_no_fleets_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FleetError, match=r"fleet|nobody"):
        FleetFile(tmp_path / name)


def test_what_can_be_read_but_once_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fleet.csv")
    held = os.open(tmp_path / "fleet.csv", os.O_RDWR)
    try:
        with pytest.raises(FleetError, match="twice"):
            FleetFile(tmp_path / "fleet.csv")
    finally:
        os.close(held)


def most_kilobytes(command: list[str]) -> int:
    """Run a command, and return what it had in memory at most."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss


def test_a_hundred_thousand_lines_take_little_memory(tmp_path: Path) -> None:
    taken = []
    for count in (10, 100_000):
        path = tmp_path / f"fleet-{count}.csv"
        with path.open("w") as file:
            file.write("name,roles,segment,token\n")
            file.writelines(f"camera-of-a-home-{number},trainer consumer,homes,{number}\n" for number in range(count))
        out = tmp_path / f"station-{count}"
        command = [sys.executable, "-m", "adapters.fleet", str(path), "--out", str(out), "--check"]
        taken.append(most_kilobytes([*command, "--url", "http://127.0.0.1:1"]))
    assert taken[1] - taken[0] < 48 * 1024
