"""Benchmarks run one after the other; what is measured stays, what is not is said, and nothing counts as measured."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks import __main__ as command
from benchmarks import registry, results, running
from benchmarks.described import Benchmark, Figure
from benchmarks.running import Plan, begin, begun, measured, run

Make = Callable[..., Benchmark]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Benchmarks that are modules of a few words."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(results, "versions", lambda: {"python": "3"})

    def made(name: str, code: str, **more: object) -> Benchmark:
        (tmp_path / f"{name}_module.py").write_text(code)
        told = Benchmark(name, f"{name}_module", (Figure("speed", "its speed", at_least=10.0),), seconds=1.0)
        return replace(told, **more)

    return made


GOOD = "print('words before'); print('{\"speed\": 12}')"


def _plan(tmp_path: Path, *benchmarks: Benchmark, runs: int = 1, since: float | None = None) -> Plan:
    return Plan(benchmarks, runs, False, since, tmp_path / "results")


def test_a_result_says_what_was_measured_with_what(make: Make, tmp_path: Path) -> None:
    said: list[str] = []
    [found] = run(_plan(tmp_path, make("good", GOOD), runs=3), said.append)
    assert found == results.read("good", tmp_path / "results")
    assert found is not None and (found.status, found.value("speed"), len(found.found)) == ("measured", 12.0, 3)
    assert found.command == ".venv/bin/python -m good_module --json"
    assert found.machine["cpus"] == os.cpu_count()
    assert found.versions and found.date.endswith("+00:00")
    assert found.load_before >= 0.0 and found.load_after >= 0.0
    assert said[0].startswith("[1/1] good: about 3 s; 3 s left in all")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit('no cores')", "it ended with 1: no cores"),
        ("print('nothing')", "it printed no JSON object"),
        ("print('[1]')", "it printed no JSON object"),
        ("print('{\"other\": 1}')", "it printed no speed"),
        ('print(\'{"speed": "12"}\')', "it printed no speed"),
        ("print('{\"speed\": NaN}')", "it printed no speed"),
        ("print('{\"speed\": true}')", "it printed no speed"),
    ],
)
def test_a_benchmark_without_its_figures_has_failed(make: Make, code: str, words: str) -> None:
    found = measured(make("bad", code), 1, quick=False)
    assert (found.status, list(found.found)) == ("failed", [])
    assert words in found.reason


def test_one_that_cannot_run_here_is_skipped_with_the_reason(make: Make, tmp_path: Path) -> None:
    lacking = make("lacking", f"open({str(tmp_path / 'ran')!r}, 'w')", needs=(lambda: "there is no Go: get it",))
    found = measured(lacking, 1, quick=False)
    assert (found.status, found.reason) == ("skipped", "there is no Go: get it")
    assert not (tmp_path / "ran").exists()


def test_what_was_measured_since_it_was_begun_is_kept(make: Make, tmp_path: Path) -> None:
    count = f"open({str(tmp_path / 'ran')!r}, 'a').write('x'); {GOOD}"
    counting, failing = make("counting", count), make("failing", "raise SystemExit(1)")
    begin(tmp_path / "results", ["counting"], 1, quick=False)
    run(_plan(tmp_path, counting, failing), lambda _: None)
    at = begun(tmp_path / "results")["at"]
    again = run(_plan(tmp_path, counting, failing, since=at), lambda _: None)
    assert [one.status for one in again] == ["measured", "failed"]
    assert (tmp_path / "ran").read_text() == "x"
    run(_plan(tmp_path, counting, runs=2, since=at), lambda _: None)
    run(_plan(tmp_path, replace(counting, arguments=("--other",)), since=at), lambda _: None)
    run(_plan(tmp_path, counting, since=time.time() + 60.0), lambda _: None)
    assert (tmp_path / "ran").read_text() == "x" * 5


_SLOW = """import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=open({place!r}, "w"), flush=True)
time.sleep(600)
"""

_MAIN = """import sys
from benchmarks import __main__ as command, registry
from benchmarks.described import Benchmark, Figure
registry.BENCHMARKS = [Benchmark(name, f"{name}_module", (Figure("speed", ""),)) for name in ("good", "slow")]
sys.exit(command.main(["--folder", sys.argv[1]]))
"""


def test_when_it_is_stopped_what_it_started_ends_and_the_rest_can_be_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "good_module.py").write_text(GOOD)
    (tmp_path / "slow_module.py").write_text(_SLOW.format(place=str(tmp_path / "pid")))
    (tmp_path / "main.py").write_text(_MAIN)
    here = str(Path(registry.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": f"{here}:{tmp_path}"}
    started = [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "results")]
    with subprocess.Popen(started, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60.0
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=60.0)
    assert process.returncode == 130
    assert "--resume" in words
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert begun(tmp_path / "results")["picks"] == []
    kept = results.read("good", tmp_path / "results")
    assert kept is not None and kept.status == "measured"
    assert results.read("slow", tmp_path / "results") is None


def test_the_command_fails_with_what_could_not_be_measured(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, slow = make("good", GOOD), make("missed", "print('{\"speed\": 9}')")
    lacking = make("lacking", GOOD, needs=(lambda: "there is no Go",))
    monkeypatch.setattr(registry, "BENCHMARKS", (good, slow, lacking))
    folder = ["--folder", str(tmp_path / "results")]
    # A bar that is missed was measured all the same.
    assert command.main(["good", "missed", *folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["met", "missed"]
    assert command.main(["--resume", *folder]) == 0
    assert "[1/2] good: measured already" in capsys.readouterr().err
    assert command.main([*folder, "--json"]) == 1
    out, err = capsys.readouterr()
    assert [one["status"] for one in json.loads(out)] == ["measured", "measured", "skipped"]
    assert json.loads(out)[1]["figures"][0]["verdict"] == "missed"
    assert "lacking skipped: there is no Go" in err
    assert command.main(["no-such", *folder]) == 2
    assert "there is no benchmark 'no-such'" in capsys.readouterr().err
    assert command.main(["--resume", "--folder", str(tmp_path / "elsewhere")]) == 2
    assert running.LONGEST_SECONDS >= 600.0
