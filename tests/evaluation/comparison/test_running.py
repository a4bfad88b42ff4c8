"""Which cells are run, where, and that nothing is run twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.federation import Diverged
from evaluation.comparison.results import Result
from evaluation.comparison.running import Comparison, Failed, shares
from tests.evaluation.comparison.tiny import catalogue, cell


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return Comparison(tmp_path, "quick", catalogue)


def changed(**shields: str) -> Catalogue:
    found = catalogue()
    of = {name: replace(found.defences[name], also=also) for name, also in shields.items()}
    return replace(found, defences={**found.defences, **of})


def test_what_was_run_is_not_missing_and_what_others_ran_is(comparison: Comparison) -> None:
    cells = [cell("none"), cell("push"), cell("push", "apart")]
    assert comparison.missing(cells) == cells
    comparison.find(cells[1])
    assert comparison.missing(cells) == [cells[0], cells[2]]
    assert replace(comparison, size="full").missing(cells) == cells


def test_a_changed_defence_leaves_the_results_of_others_standing(comparison: Comparison) -> None:
    cells = [cell("push"), cell("push", "apart")]
    for one in cells:
        comparison.find(one)
    other = Comparison(comparison.folder, comparison.size, partial(changed, apart="other"))
    assert other.missing(cells) == [cells[1]]


def test_code_that_is_edited_during_a_run_does_not_orphan_its_results(comparison: Comparison) -> None:
    before = comparison.missing([cell()])
    edited = Comparison(comparison.folder, comparison.size, partial(changed, averaging="edited"))
    worker = replace(edited, _revisions=comparison._bare(before)._revisions)
    assert worker.find(cell()) == comparison.shelf.find(cell())
    assert edited.missing(before) == before


def test_a_damaged_result_is_missing(comparison: Comparison) -> None:
    comparison.find(cell())
    (file,) = (comparison.folder / "quick").glob("*.json")
    file.write_text(file.read_text()[:-20])
    assert comparison.missing([cell()]) == [cell()]


def test_cells_of_one_task_skew_and_seed_stay_together_and_plain_averaging_is_first() -> None:
    cells = [cell("push", "apart"), cell("push", "apart", seed=1), cell("none"), cell("push", seed=1)]
    found = shares(cells, 2)
    assert found == [[cells[2], cells[0]], [cells[3], cells[1]]]
    assert sorted(map(len, shares(cells[::2], 2))) == [1, 1]
    assert shares([], 2) == []


def test_cells_run_in_processes_of_their_own_and_what_keeps_one_from_running_is_told_or_raised(
    comparison: Comparison,
) -> None:
    told: list[Result | Failed] = []
    good, unheard, bad = cell("push"), cell("push", "unheard"), cell("push", "broken")
    with pytest.raises(Diverged):
        comparison.run([good, unheard, bad], 1, told.append)
    # A control plane that does not answer, twice, keeps nobody else from running.
    assert told == [comparison.shelf.find(good), Failed(unheard, "Unjudged: nobody answers")]
    assert comparison.missing([good, unheard, bad]) == [unheard, bad]


INTERRUPTED = """
import sys
from pathlib import Path
from evaluation.comparison.running import Comparison
from tests.evaluation.comparison import slow

if __name__ == "__main__":
    comparison = Comparison(Path(sys.argv[1]), "quick", slow.catalogue)
    try:
        comparison.run([slow.cell("push"), slow.cell("sleeper")], 1, lambda result: print("done", flush=True))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_an_interrupted_run_ends_its_workers_and_keeps_what_was_found(tmp_path: Path, comparison: Comparison) -> None:
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    kept = tmp_path / "kept"
    with subprocess.Popen(
        [sys.executable, str(program), str(kept)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        # The worker is in the second cell, which never ends by itself; it says so with a file.
        waited(lambda: (kept / "made" / "begun").is_file())
        worker = int((kept / "made" / "begun").read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    waited(lambda: not alive(worker))
    assert (kept / "made" / "closed").is_file()
    assert len(list((kept / "quick").glob("*.json"))) == 1


def waited(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
