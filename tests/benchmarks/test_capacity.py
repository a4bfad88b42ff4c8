"""The arithmetic of capacity and the simulation behind it; and that the page shows what the command says."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.capacity import PAGE, REPLICA, Constants, ConstantsMissing, Habits, costs_of, needs, report, table
from benchmarks.capacity_simulated import Costs, Replica, simulated
from controlplane.cli.commands import app
from tests.servers.debian import NotInstalled
from tests.servers.wheels import DUCKDB, ensure
from tests.support import ControlPlane

MEASURED = Constants.read()


def test_the_page_shows_what_the_command_computes() -> None:
    shown = PAGE.read_text().partition("<!-- capacity -->")[2].partition("<!-- /capacity -->")[0]
    assert shown.strip() == table(MEASURED), "put in what `python -m benchmarks.capacity --table` prints"


def test_the_command_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.capacity", "--devices", "10000", "--days", "30", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=PAGE.parents[1]).stdout)
    assert found["assumed"]["days"] == 30
    assert found["needs"]["replicas"] == 2
    assert found["simulated"]["p99_ms"] > 0


def test_needs_grow_with_the_fleet_and_one_log_is_not_asked_for_more_than_it_takes() -> None:
    small, large = (needs(size, Habits(), MEASURED) for size in (1_000_000, 100_000_000))
    assert large["store_bytes"] == pytest.approx(100 * small["store_bytes"])
    assert large["opa_cores"] == pytest.approx(100 * small["opa_cores"])
    for found in (small, large):
        assert found["decisions_per_second_at_peak"] / found["federations"] <= MEASURED.log_per_second / 2
        assert found["replicas"] >= 2 * found["federations"]
        assert found["replicas"] * REPLICA.workers >= found["worker_cores"]
    assert small["federations"] == 1 < large["federations"]
    assert needs(1, Habits(), MEASURED)["replicas"] == 2


def test_at_the_planned_load_a_replica_keeps_the_objective_and_is_as_busy_as_planned() -> None:
    found = report(1_000_000, Habits(), MEASURED)
    shown, planned = found["simulated"], found["assumed"]["planned_share"]
    assert shown["p99_ms"] < 80
    assert shown["workers_busy"] < planned + 0.05
    assert shown["opa_busy"] < planned + 0.05, "calls that few share are planned for"


def test_batches_give_back_what_load_takes() -> None:
    costs = costs_of(MEASURED)
    quiet, busy = (simulated(rate, REPLICA, costs, decisions=8_000) for rate in (20.0, 2_400.0))
    assert quiet.batch < 1.1
    assert quiet.opa_us == pytest.approx(MEASURED.opa_call_us + MEASURED.opa_evaluation_us, rel=0.05)
    assert busy.batch > 1.4
    assert busy.opa_us < 0.85 * quiet.opa_us
    assert busy.p99_ms > quiet.p99_ms


def test_one_queue_takes_as_long_as_theory_says() -> None:
    # M/M/1 at half of what it bears: the time in it is exponential, with twice the mean of the work.
    free = Costs(work=0.001, call=1e-9, evaluation=1e-9, group=1e-9, record=1e-9)
    found = simulated(500.0, Replica(1, 1), free, decisions=40_000)
    assert found.p50_ms == pytest.approx(2 * 0.693, rel=0.1)
    assert found.p99_ms == pytest.approx(2 * 4.605, rel=0.15)
    assert found.workers_busy == pytest.approx(0.5, rel=0.05)
    assert found.decisions == 40_000


def test_what_a_table_lacks_is_named(tmp_path: Path) -> None:
    page = tmp_path / "capacity.md"
    page.write_text(PAGE.read_text().replace("| `entry_bytes` |", "| `entry` |"))
    with pytest.raises(ConstantsMissing, match="entry_bytes"):
        Constants.read(page)


def test_whoever_asks_more_needs_more() -> None:
    eager = replace(Habits(), capabilities_a_day=200.0)
    assert needs(10_000, eager, MEASURED)["worker_cores"] > 5 * needs(10_000, Habits(), MEASURED)["worker_cores"]


_ASK = """
import json, sys, duckdb
said = [one for one in sys.stdin.read().split(";") if one.strip()]
answers = [duckdb.execute(one).fetchall() for one in said]
print(json.dumps(answers[-1]))
"""


def test_the_query_of_the_page_reads_what_is_exported(plane: ControlPlane, tmp_path: Path) -> None:
    try:
        folder = ensure(DUCKDB).parents[1]
    except NotInstalled as missing:
        pytest.skip(str(missing))
    device = plane.enrol("consumer")
    before = device.capability("inference", inference={"prompt_tokens": 8, "max_output_tokens": 16}).expect(201)
    assert before["decision_id"]
    done = CliRunner().invoke(app, ["audit", "export", "--after", "-1", "--state-dir", str(plane.state)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"place"')]
    (tmp_path / "decisions.ndjson").write_text("\n".join(lines))
    [said] = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    command = [sys.executable, "-c", _ASK]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    answer = subprocess.run(
        command, input=said, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    counted = {(action, outcome): count for action, outcome, count in json.loads(answer.stdout)}
    decided = [json.loads(line)["record"] for line in lines if json.loads(line)["entry"]["kind"] == "decision"]
    assert counted["inference", "allow"] == sum(
        one is not None and (one["action"], one["outcome"]) == ("inference", "allow") for one in decided
    )
    assert counted["inference", "allow"] >= 1
