import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.policies.support import POLICIES, ROOT, Run, rego_files

DECISIONS = {"admin", "enrolment", "gradient_submission", "inference", "model_access", "other"}


def parsed(run_opa: Run, path: Path) -> dict[str, Any]:
    result = run_opa("parse", "--format", "json", str(path))
    assert result.returncode == 0, result.stderr
    tree: dict[str, Any] = json.loads(result.stdout)
    return tree


def package_of(path: str) -> str:
    return Path(path).parent.as_posix()


def test_the_policies_own_tests_pass(run_opa: Run) -> None:
    result = run_opa("test", "--bundle", "policies", "--format", "json")
    assert result.returncode == 0, result.stdout
    assert len(json.loads(result.stdout)) > 100


def test_the_tests_of_opas_api_pass(run_opa: Run) -> None:
    result = run_opa("test", "opa/authz.rego", "opa/authz_test.rego", "--coverage", "--threshold", "95")
    assert result.returncode == 0, result.stdout


def test_each_package_is_covered(run_opa: Run) -> None:
    report = json.loads(run_opa("test", "--bundle", "policies", "--coverage", "--format", "json").stdout)
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path, file in report["files"].items():
        if not path.endswith("_test.rego"):
            lines[package_of(path)][0] += file.get("covered_lines", 0)
            lines[package_of(path)][1] += file.get("not_covered_lines", 0)
    shares = {package: covered / (covered + missed) for package, (covered, missed) in lines.items() if covered + missed}
    assert {Path(package).name for package in shares} >= DECISIONS
    assert {package: share for package, share in shares.items() if share < 0.95} == {}


def test_the_policies_are_formatted(run_opa: Run) -> None:
    result = run_opa("fmt", "--list", "--fail", "policies", "opa")
    assert (result.returncode, result.stdout) == (0, ""), result.stdout


def test_the_policies_pass_the_strict_check_against_the_input_schemas(run_opa: Run) -> None:
    result = run_opa("check", "--strict", "--bundle", "--schema", "policies/schemas", "policies")
    assert result.returncode == 0, result.stderr


def test_a_misspelt_input_is_found_by_the_check(run_opa: Run, tmp_path: Path) -> None:
    inference = POLICIES / "ztfm" / "inference"
    source = (inference / "policy.rego").read_text()
    (tmp_path / "policy.rego").write_text(source.replace("input.context.usage.tokens", "input.context.usage.tokns"))
    others = [str(path) for path in [*(POLICIES / "ztfm" / "lib").rglob("*.rego"), inference / "required.rego"]]
    result = run_opa("check", "--strict", "--schema", "policies/schemas", str(tmp_path / "policy.rego"), *others)
    assert result.returncode != 0
    assert "tokns" in result.stderr


def test_the_linter_finds_nothing(run_regal: Run) -> None:
    result = run_regal("lint", "--config-file", "policies/.regal/config.yaml", "policies", "opa")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", rego_files(), ids=lambda path: path.relative_to(POLICIES).as_posix())
def test_a_file_is_short_and_its_folder_is_its_package(path: Path, run_opa: Run) -> None:
    tree = parsed(run_opa, path)
    package = [part["value"] for part in tree["package"]["path"]][1:]
    assert package == list(path.parent.relative_to(POLICIES).parts)
    assert len(path.read_text().splitlines()) <= 100


def test_no_rule_bears_the_name_of_a_builtin(run_opa: Run) -> None:
    capabilities = json.loads(run_opa("capabilities", "--current").stdout)
    builtins = {
        part for builtin in capabilities["builtins"] for part in (builtin["name"], builtin["name"].split(".")[0])
    }
    named = {
        (path.relative_to(ROOT).as_posix(), rule["head"]["name"])
        for path in [*rego_files(), *rego_files(tests=True), ROOT / "opa" / "authz.rego"]
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
    assert [folder for folder, size in sizes.items() if size[1] == 0] == []


def test_every_package_and_entry_point_is_described(run_opa: Run) -> None:
    report = json.loads(run_opa("inspect", "--annotations", "--format", "json", "policies").stdout)
    described, entries = set(), set()
    for note in report["annotations"]:
        path = ".".join(part["value"] for part in note["path"])
        about = note["annotations"]
        assert about.get("title"), path
        assert about.get("description"), path
        if about["scope"] == "package":
            described.add(path)
        if about.get("entrypoint"):
            entries.add(path)
    packages = {".".join(["data", *path.parent.relative_to(POLICIES).parts]) for path in rego_files()}
    assert packages - described == set()
    assert entries == {f"data.ztfm.{name}.decision" for name in DECISIONS} | {"data.ztfm.batch"}
