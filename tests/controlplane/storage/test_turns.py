"""Processes take turns to write to a SQLite file; whoever ends gives its turn back."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from controlplane.storage.turns import Turn

HOLD = """
import sys, time
from pathlib import Path
from controlplane.storage.turns import Turn

Turn(Path(sys.argv[1])).take(1.0)
print("held", flush=True)
time.sleep(60)
"""


def test_one_has_it_and_the_other_waits_for_it(tmp_path: Path) -> None:
    one, other = Turn(tmp_path / "x.db"), Turn(tmp_path / "x.db")
    one.take(1.0)
    with pytest.raises(TimeoutError, match="other writers"):
        other.take(0.01)
    threading.Timer(0.05, one.give).start()
    other.take(5.0)
    with pytest.raises(TimeoutError):
        one.take(0.0)
    other.give()
    one.close()
    other.close()


def test_a_holder_that_is_killed_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        turn = Turn(path)
        with pytest.raises(TimeoutError):
            turn.take(0.0)
        holder.kill()
        turn.take(5.0)
        turn.close()


def test_its_file_is_private_and_not_the_database(tmp_path: Path) -> None:
    Turn(tmp_path / "x.db").close()
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("x.db-turn", 0o600)]
