import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from controlplane.authoring import PolicyFolder, Tools, check, run_tests
from controlplane.authoring.checking import CHECKS
from controlplane.authoring.testing import MIN_COVERAGE
from tests.policies.support import POLICIES, ROOT, Run, rego_files

DECISIONS = {
    "admin",
    "alert",
    "attestation",
    "content",
    "budget",
    "enrolment",
    "gradient_submission",
    "identity",
    "inference",
    "key_release",
    "model_access",
    "other",
    "response",
    "segmentation",
}


def test_the_policies_pass_every_check_that_authors_run(tools: Tools) -> None:
    done = list(check(tools, PolicyFolder.open(POLICIES, POLICIES)))
    assert [one.check for one in done] == list(CHECKS)
    assert [one for one in done if one.findings or one.skipped] == []


def test_the_policies_pass_their_own_tests_and_examples_and_each_package_is_covered(tools: Tools) -> None:
    tested = run_tests(tools, PolicyFolder.open(POLICIES, POLICIES))
    assert tested.findings == []
    assert tested.tests > 100
    assert tested.examples > 30
    assert {Path(package).name for package in tested.coverage} >= DECISIONS
    assert min(tested.coverage.values()) >= MIN_COVERAGE


def test_what_lies_beside_opa_is_formatted_tested_and_linted(run_opa: Run, run_regal: Run) -> None:
    assert run_opa("fmt", "--list", "--fail", "opa").returncode == 0
    for name in ("authz", "layers"):
        result = run_opa("test", f"opa/{name}.rego", f"opa/{name}_test.rego", "--coverage", "--threshold", "95")
        assert result.returncode == 0, result.stdout
    result = run_regal("lint", "--config-file", "policies/.regal/config.yaml", "opa")
    assert result.returncode == 0, result.stdout + result.stderr


def parsed(run_opa: Run, path: Path) -> dict[str, Any]:
    result = run_opa("parse", "--format", "json", str(path))
    assert result.returncode == 0, result.stderr
    tree: dict[str, Any] = json.loads(result.stdout)
    return tree


def test_no_rule_bears_the_name_of_a_builtin(run_opa: Run) -> None:
    capabilities = json.loads(run_opa("capabilities", "--current").stdout)
    builtins = {
        part for builtin in capabilities["builtins"] for part in (builtin["name"], builtin["name"].split(".")[0])
    }
    named = {
        (path.relative_to(ROOT).as_posix(), rule["head"]["name"])
        for path in [*rego_files(), *rego_files(tests=True), *(ROOT / "opa").glob("*.rego")]
        for rule in parsed(run_opa, path)["rules"]
        if rule["head"].get("name")
    }
    assert len(named) > 50
    assert {(path, name) for path, name in named if name in builtins} == set()


def test_the_tests_are_larger_than_the_rules() -> None:
    sizes: dict[Path, list[int]] = defaultdict(lambda: [0, 0])
    for is_test in (False, True):
        for path in rego_files(tests=is_test):
            sizes[path.parent][is_test] += len(path.read_text().splitlines())
    rules = sum(size[0] for size in sizes.values())
    tests = sum(size[1] for size in sizes.values())
    assert tests >= 1.5 * rules


def test_the_entry_points_are_the_decisions_and_the_batch(run_opa: Run) -> None:
    report = json.loads(run_opa("inspect", "--annotations", "--format", "json", "policies").stdout)
    entries = {
        ".".join(part["value"] for part in note["path"])
        for note in report["annotations"]
        if note["annotations"].get("entrypoint")
    }
    assert entries == {f"data.ztfm.{name}.decision" for name in DECISIONS} | {"data.ztfm.batch"}
