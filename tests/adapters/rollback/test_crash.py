"""A process that ends in the middle of writing leaves the last good archive, whenever it ends."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.rollback import DeltaArchive
from tests.adapters.rollback.rounds import KEY, MEAN, asked, equal, filled, round_of, without

ROOT = Path(__file__).parents[3]
ROUNDS = {"r1": ["a", "b", "x"], "r2": ["a", "x"], "r3": ["a", "b", "c"]}

_WRITER = """
import sys
from pathlib import Path
from adapters.rollback import DeltaArchive
from controlplane.jose.keys import DeviceKey
from tests.adapters.rollback.rounds import MEAN, asked, round_of, start

key = DeviceKey.from_pem(Path(sys.argv[2]).read_bytes())
with DeltaArchive(Path(sys.argv[1]), key, rounds=5) as archive:
    state = start()
    for number in range(100_000):
        done = round_of(f"r{number}", state, ["a", "b", "x"], MEAN)
        archive.record(done)
        state = done.after
        if number % 7 == 6:
            rebuilt = archive.rebuild(asked(["x"], f"r{number - 1}"))
            archive.accept(rebuilt)
            state = rebuilt.state
        print(number, flush=True)
"""


@contextmanager
def moments(folder: Path, into: Path) -> Iterator[list[Path]]:
    """Copies of the folder before everything that names, removes, or puts on the disk what is in it."""
    taken: list[Path] = []
    patch = pytest.MonkeyPatch()

    def before(work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **options: Any) -> Any:
            taken.append(into / f"{len(taken):03d}")
            shutil.copytree(folder, taken[-1])
            return work(*arguments, **options)

        return done

    patch.setattr(os, "fsync", before(os.fsync))
    for name in ("rename", "replace", "unlink"):
        patch.setattr(Path, name, before(getattr(Path, name)))
    patch.setattr("adapters.rollback.folder.shutil.rmtree", before(shutil.rmtree))
    try:
        yield taken
    finally:
        patch.undo()


def test_at_every_moment_of_recording_the_round_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    done = filled(folder, ROUNDS, rounds=3)
    following = round_of("r4", done["r3"].after, ["a", "x"], MEAN)
    with DeltaArchive(folder, KEY, rounds=3) as archive, moments(folder, tmp_path) as taken:
        archive.record(following)
    assert len(taken) > 10
    for moment in taken:
        with DeltaArchive(moment, KEY, rounds=3) as archive:
            found = archive.verify()
            assert found.holds, (moment, found.faults)
            kept = [one.entry.round_id for one in archive.standings()]
            assert kept in (["r1", "r2", "r3"], ["r2", "r3"], ["r2", "r3", "r4"])
            if kept[-1] == "r3":
                archive.record(following)
                assert archive.verify().holds
        assert not [path for path in moment.rglob("*") if path.name.startswith(".draft")]


def test_at_every_moment_of_a_rollback_the_model_is_rebuilt_or_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    done = filled(folder, ROUNDS)
    with DeltaArchive(folder, KEY) as archive, moments(folder, tmp_path) as taken:
        rebuilt = archive.rebuild(asked(["x"], "r1", order="rb-1"))
        assert rebuilt is not None
        archive.accept(rebuilt)
    assert len(taken) > 10
    for moment in taken:
        with DeltaArchive(moment, KEY) as archive:
            if archive.executed("rb-1", "r1") is None:
                once_more = archive.rebuild(asked(["x"], "r1", order="rb-1"))
                assert once_more is not None
                assert equal(once_more.state, without(done, ["x"], "r1"))
                archive.accept(once_more)
            found = archive.verify()
            assert found.holds, (moment, found.faults)
            assert found.entries[-1].kind == "rollback"


@pytest.mark.parametrize("rounds", [2, 15])
def test_a_writer_that_is_killed_leaves_an_archive_that_verifies_and_goes_on(tmp_path: Path, rounds: int) -> None:
    folder, pem = tmp_path / "archive", tmp_path / "key.pem"
    pem.write_bytes(KEY.to_pem())
    program = [sys.executable, "-c", _WRITER, str(folder), str(pem)]
    writer = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        for _ in range(rounds):
            assert writer.stdout.readline()
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    with DeltaArchive(folder, KEY, rounds=5) as archive:
        found = archive.verify()
        assert found.holds, found.faults
        last = archive.standings()[-1]
        assert int(last.entry.round_id[1:]) >= rounds - 1
        state = archive.rebuild(asked(["x"], last.entry.round_id))
        assert state is None or archive.accept(state)
        assert archive.verify().holds
