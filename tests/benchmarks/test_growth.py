"""A decision does the same work however much there is: what is evaluated is counted, and no table is looked through."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, Row, select
from sqlalchemy.dialects import sqlite

from benchmarks.growth.__main__ import AXES, Axis, Point, curve, summary
from benchmarks.growth.worlds import add_devices, add_exceptions, add_packages, signed_exceptions, with_devices
from controlplane.sidecar.folders import product_folder
from controlplane.sidecar.locate import locate_opa
from controlplane.storage.tables import devices
from tests.support import DIGEST, running, wait_until

GROWING = ("devices", "decisions", "policy_exceptions", "rounds", "capability_uses", "behaviour_verdicts")
"""Tables whose rows grow with the fleet or with time."""


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped, to which more is added."""
    made = tmp_path_factory.mktemp("grown") / "policies"
    shutil.copytree(product_folder("policies"), made, ignore=shutil.ignore_patterns("*_test.rego", "examples"))
    return made


def _evaluated(policies: Path, rule: str, facts: dict[str, Any]) -> tuple[int, Any]:
    """Return how many expressions OPA evaluates for a rule, and what it says."""
    command = [str(locate_opa(os.environ).path), "eval", "--profile", "--profile-limit=100000", "--format=json"]
    command += ["--stdin-input", "--bundle", str(policies), rule]
    done = subprocess.run(command, input=json.dumps(facts), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return sum(one["num_eval"] for one in found["profile"]), found["result"][0]["expressions"][0]["value"]


def _facts(example: str) -> dict[str, Any]:
    path = product_folder("policies") / "ztfm" / example
    found: dict[str, Any] = json.loads(path.read_text())
    return found.get("input", found)


def test_a_decision_evaluates_as_much_with_many_exceptions_as_with_few(policies: Path) -> None:
    facts = _facts("inference/examples/denied_over_budget.json")
    subject, data = facts["subject"]["id"], policies / "data" / "exceptions" / "data.json"
    counts = []
    for others in (3, 3000):
        data.write_text(json.dumps(signed_exceptions([subject, *(f"dev-{number}" for number in range(others))])))
        counts.append(_evaluated(policies, "data.ztfm.inference.decision", facts))
    data.write_text("{}")
    assert counts[0] == counts[1]
    assert counts[0][0] > 10
    assert _evaluated(policies, "data.ztfm.inference.decision", facts)[0] < counts[0][0]


def test_a_decision_evaluates_as_much_among_many_packages_as_among_few(policies: Path) -> None:
    facts = _facts("extra/mqtt_topic/examples/allowed_own.json")
    few = _evaluated(policies, "data.ztfm.other.decision", facts)
    add_packages(policies, 60)
    assert _evaluated(policies, "data.ztfm.other.decision", facts) == few
    of_one = {**facts, "resource": {"type": "kind_59", "id": "one"}}
    assert _evaluated(policies, "data.ztfm.other.decision", of_one)[1]["rules"] == ["subject_active", "subject_known"]


def test_no_query_on_the_way_of_a_decision_looks_through_a_table_that_grows() -> None:
    with running() as plane:
        aggregator, trainer = plane.enrol("aggregator"), plane.enrol("trainer")
        add_devices(plane.state / "ztfm.db", 500)
        add_exceptions(plane.state / "ztfm.db", [trainer.id, "dev-other"])
        aggregator.open_round("r-1", [trainer])
        database, asked = plane.store._database, []
        read = database.read

        async def noting(what: str, query: Executable) -> Sequence[Row[Any]]:
            asked.append(query)
            return await read(what, query)

        def looked_up() -> bool:
            trainer.capability("model_access", digest=DIGEST, purpose="training", round_id="r-1").expect(201)
            trainer.capability("gradient_submission", digest=DIGEST, round_id="r-1").expect(201)
            return any("FROM devices" in str(query) for query in asked)

        database.read = noting  # type: ignore[method-assign]
        # Who was enrolled a moment ago is still remembered.
        wait_until(looked_up)
        plans = _plans(plane.state / "ztfm.db", asked)
    assert any(plan.startswith("SEARCH devices") for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN") and set(plan.split()) & set(GROWING)] == []


def _plans(database: Path, queries: Sequence[Executable]) -> set[str]:
    texts = {}
    for query in queries:
        made = query.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
        texts[str(made)] = len(made.positiontup or ())
    with closing(sqlite3.connect(database)) as connection:
        # SQLite plans by the shape of a query: what is compared with does not matter.
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {text}", [1] * count) for text, count in texts.items()]
        return {str(row[3]) for plan in plans for row in plan}


def test_a_scan_would_be_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "some.db")) as connection:
        connection.execute("CREATE TABLE devices (id PRIMARY KEY, segment)")
    by_segment = select(devices.c.id).where(devices.c.segment == "homes")
    assert _plans(tmp_path / "some.db", [by_segment]) == {"SCAN devices"}


async def test_a_point_of_the_curve_is_a_control_plane_that_holds_so_much(tmp_path: Path) -> None:
    [point] = await curve(Axis(with_devices, (40,), (40,)), (40,), tmp_path, requests=16, turns=1)
    assert point.size == 40
    assert point.p50_ms > 0.0
    assert point.resident_mib > 50.0
    with closing(sqlite3.connect(tmp_path / "40" / "state" / "ztfm.db")) as connection:
        assert connection.execute("SELECT count(*) FROM devices").fetchone() == (40,)


def test_the_ratio_is_of_the_most_over_the_least() -> None:
    found = summary([Point(10, 1.0, 100.0, 50.0), Point(100, 2.0, 400.0, 60.0), Point(1034, 1.5, 130.0, 51.0)])
    assert (found["ratio"], found["ratio_p50"], found["bytes_each"], found["is_flat"]) == (1.3, 1.5, 1024, False)
    assert len(found["curve"]) == 3
    assert {name: (axis.sizes[0], axis.sizes[-1]) for name, axis in AXES.items()} == {
        "devices": (10, 100_000),
        "exceptions": (10, 10_000),
        "policies": (1, 100),
    }
