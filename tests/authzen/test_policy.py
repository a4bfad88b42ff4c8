"""The fixture's policy is held to what the product's own are: an author's package is no weaker for being added."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.contracts.decision import PolicyDecision
from controlplane.contracts.facts.other import OtherFacts
from controlplane.sidecar import OpaBinary, locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install
from tests.authzen.pdp import overlay
from tests.policies.support import ROOT, Engine
from tests.policies.test_mutations import BATCH, VALUES, changed, is_same, places

CONTEXT = {
    "time": 1763000000.5,
    "network": {"address": "10.10.3.4"},
    "usage": {"window_seconds": 60, "requests": 0, "tokens": 0},
}
FIXTURE = json.loads((Path(__file__).parent / "policies" / "data" / "records" / "data.json").read_text())


@pytest.fixture(scope="module")
def opa() -> OpaBinary:
    return locate_opa({})


@pytest.fixture(scope="module")
def policies() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        yield overlay(Path(folder))


@pytest.fixture(scope="module")
def engine(opa: OpaBinary, policies: Path) -> Iterator[Engine]:
    engine = Engine(opa, policies.parent, policies)
    yield engine
    engine.close()


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def facts(user: str, verb: str, record: str, **claims: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": user},
        "action": {"name": verb},
        "resource": {"type": "record", "id": record},
        "context": CONTEXT,
        "claims": {"subject": {}, "action": {}, "resource": {}, "context": {}, **claims},
    }


ALLOWED = {
    "read": facts("bob", "read", "record-1"),
    "write": facts("alice", "write", "record-1", resource={"status": "active"}),
    "write archived": facts("alice", "write", "record-2", subject={"role": "admin"}, resource={"status": "archived"}),
    "soft delete": facts("alice", "delete", "record-1", action={"soft": True}),
}


def is_meant(document: Any) -> bool:
    """What the scenario's rules say, once more, in Python."""
    try:
        user = FIXTURE["users"][document["subject"]["id"]]
        record = FIXTURE["records"][document["resource"]["id"]]
        claims = document.get("claims")
        action = document["action"]["name"]
        if document["subject"]["type"] != "user" or document["resource"]["type"] != "record":
            return False
    except (KeyError, TypeError, IndexError):
        return False
    told = {part: _object(claims, part) for part in ("subject", "action", "resource")}
    if action == "read":
        return True
    if action == "delete":
        return user["writes"] is True and told["action"].get("soft") is True
    if action != "write":
        return False
    is_object = isinstance(claims, dict) and isinstance(claims.get("resource"), dict)
    is_active = is_object and record["status"] == "active" and told["resource"].get("status", "active") == "active"
    is_archived = record["status"] == "archived" or told["resource"].get("status") == "archived"
    is_admin = user["role"] == "admin" or told["subject"].get("role") == "admin"
    return (user["writes"] is True and is_active) or (is_admin and is_archived)


def _object(claims: Any, part: str) -> dict[str, Any]:
    found = claims.get(part) if isinstance(claims, dict) else None
    return found if isinstance(found, dict) else {}


def test_its_own_tests_pass(opa: OpaBinary, policies: Path) -> None:
    result = run(opa.path, "test", "--bundle", policies, "--format", "json")
    assert result.returncode == 0, result.stdout
    assert [case for case in json.loads(result.stdout) if "extra" in case["package"]]


def test_it_is_covered(opa: OpaBinary, policies: Path) -> None:
    command: list[str | Path] = [opa.path, "test", "--bundle", "policies", "--coverage", "--format", "json"]
    report = json.loads(run(*command, cwd=policies.parent).stdout)
    files = [file for path, file in report["files"].items() if path.endswith("record/policy.rego")]
    covered, missed = (sum(file.get(lines, 0) for file in files) for lines in ("covered_lines", "not_covered_lines"))
    assert covered / (covered + missed) >= 0.95


def test_it_is_formatted_and_checked_and_linted(opa: OpaBinary, policies: Path) -> None:
    result = run(opa.path, "fmt", "--list", "--fail", Path(__file__).parent / "policies")
    assert (result.returncode, result.stdout) == (0, "")
    result = run(opa.path, "check", "--strict", "--bundle", "--schema", "policies/schemas", policies)
    assert result.returncode == 0, result.stderr
    regal = install("regal", tools_folder())
    result = run(regal, "lint", "--config-file", "policies/.regal/config.yaml", policies)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ALLOWED)
def test_no_variant_is_allowed_that_is_not_meant_to_be(name: str, engine: Engine) -> None:
    whole = ALLOWED[name]
    OtherFacts.model_validate(whole)
    assert engine.decide("other", whole)["allow"]
    variants = [
        mutant
        for path in places(whole)
        for value in [*VALUES, "admin", "archived", "active", "alice", "record-2", "user"]
        if not is_same(mutant := changed(whole, path, value), whole)
    ]
    assert len(variants) > 300
    for start in range(0, len(variants), BATCH):
        batch = {str(index): mutant for index, mutant in enumerate(variants[start : start + BATCH])}
        decisions = engine.ask({"other": batch})
        assert set(decisions) == set(batch), "there is always an answer"
        for index, mutant in batch.items():
            decision = PolicyDecision.model_validate(decisions[index])
            assert decision.allow == is_meant(mutant), mutant
            assert decision.allow != bool(decision.reasons)


def test_the_products_own_decisions_stay_as_they_are(engine: Engine) -> None:
    from tests.policies.support import load_examples

    for example in load_examples():
        if example.package in ("inference", "other", "enrolment"):
            assert engine.decide(example.package, example.input)["allow"] == example.decision, example.name


def test_the_example_of_the_documentation_compiles_and_decides(opa: OpaBinary, policies: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    [policy] = [
        block for block in re.findall(r"^```rego\n(.*?)^```", page, re.M | re.S) if "ztfm.extra.record" in block
    ]
    [listing] = [block for block in re.findall(r"^```rego\n(.*?)^```", page, re.M | re.S) if "subjects :=" in block]
    shutil.copytree(policies, tmp_path / "policies")
    folder = tmp_path / "policies" / "ztfm" / "extra" / "record"
    (folder / "policy_test.rego").unlink()
    (folder / "policy.rego").write_text(f"{policy}\n{listing}")
    (folder / "door.rego").write_text(
        'package ztfm.extra["https://example.org/Door"]\n\nimport data.ztfm.lib.verdict\n\n'
        'decision := verdict.of({"x"}, set(), {"obligations": {}, "ttl_seconds": 30})\n'
    )
    result = run(opa.path, "check", "--strict", "--bundle", "--schema", "policies/schemas", tmp_path / "policies")
    assert result.returncode == 0, result.stderr
    door = facts("alice", "open", "record-1")
    door["resource"]["type"] = "https://example.org/Door"
    for question, allowed in (
        (facts("alice", "write", "record-2", subject={"role": "admin"}), True),
        (facts("alice", "write", "record-2"), False),
        (facts("mallory", "read", "record-2"), False),
        (door, True),
    ):
        (tmp_path / "input.json").write_text(json.dumps(question))
        command = ["eval", "--bundle", "policies", "--input", "input.json", "--format", "raw"]
        answer = run(opa.path, *command, "data.ztfm.other.decision.allow", cwd=tmp_path)
        assert json.loads(answer.stdout) is allowed
