"""Programs that are forked from a process which has imported what they need are programs as any other."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.conformance.children import children_of
from adapters.conformance.warm import Warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and ends with what stands in for it")

PROGRAMS = """
import json, os, sys, time

def tell():
    found = [sys.argv[1:], os.getcwd(), os.environ.get("SAID"), os.getpid(), sys.executable, sys.stdin.read()]
    print(json.dumps(found))
    sys.exit(3)

def fail():
    raise RuntimeError("this program is broken")

def hang():
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(1000)

def hang_deaf():
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    hang()

if __name__ == "__main__":
    tell()
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    place = tmp_path_factory.mktemp("warm")
    (place / "warm_programs.py").write_text(PROGRAMS)
    path = os.pathsep.join([str(place), *sys.path])
    made = Warm(place / "w", "warm_programs", {**os.environ, "PYTHONPATH": path})
    for name in ("tell", "fail", "hang", "hang_deaf"):
        made.add(name, f"warm_programs:{name}")
    yield made
    made._process.kill()
    made._process.wait()


def hanging(warm: Warm, name: str, tmp_path: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """Start one that hangs, and return what stands in for it, and its own process id."""
    told = tmp_path / "pid"
    started = subprocess.Popen([str(warm.folder / name), str(told)])
    deadline = time.monotonic() + 30
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return started, int(told.read_text())


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("begins", [["tell"], ["python", "-u", "-m", "warm_programs"]])
def test_a_program_has_its_own_arguments_folder_environment_streams_and_status(
    warm: Warm, begins: list[str], tmp_path: Path
) -> None:
    command = [str(warm.folder / begins[0]), *begins[1:], "a", "b c"]
    environment = {**os.environ, "SAID": "yes"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input="heard", capture_output=True, text=True, check=False
    )
    arguments, folder, said, pid, interpreter, heard = json.loads(done.stdout)
    assert (arguments, folder, said, heard) == (["a", "b c"], str(tmp_path), "yes", "heard")
    assert (done.returncode, interpreter) == (3, str(warm.interpreter))
    assert pid != warm._process.pid
    assert is_gone(pid)


def test_a_program_that_fails_says_so_and_the_next_one_runs(warm: Warm) -> None:
    for _ in range(2):
        done = subprocess.run([str(warm.folder / "fail")], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "this program is broken" in done.stderr


def test_a_program_ends_at_once_with_what_stands_in_for_it(warm: Warm, tmp_path: Path) -> None:
    started, pid = hanging(warm, "hang", tmp_path)
    assert pid in children_of(warm._process.pid)
    started.kill()
    started.wait()
    assert is_gone(pid)


def test_what_stands_in_ends_with_the_program_and_hands_signals_on(warm: Warm, tmp_path: Path) -> None:
    started, pid = hanging(warm, "hang_deaf", tmp_path)
    started.terminate()
    assert started.wait(10) == 7
    (tmp_path / "pid").unlink()
    started, pid = hanging(warm, "hang", tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert started.wait(10) == 1


def test_all_of_them_end_when_it_is_asked_for(warm: Warm, tmp_path: Path) -> None:
    started, pid = hanging(warm, "hang", tmp_path)
    warm.end_programs()
    assert is_gone(pid)
    assert started.wait(10) == 1


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no_such_module cannot be imported"):
        Warm(tmp_path / "w", "no_such_module", dict(os.environ))
