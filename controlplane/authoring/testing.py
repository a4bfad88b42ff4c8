"""Run a folder's own tests and examples, and measure what they cover."""

import json
import re
from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from controlplane.authoring.asking import ask
from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.findings import Finding, line_of
from controlplane.authoring.folder import OTHER, Example, PolicyFolder
from controlplane.authoring.layerfolder import LayerFolder
from controlplane.authoring.tools import Tools, allowed_builtins, call
from controlplane.contracts.builtins import FORBIDDEN

MIN_COVERAGE = 0.95

TEST_SECONDS = 60
"""How long one test may take."""


Outcome = Literal["passed", "failed", "error", "skipped"]


@dataclass(frozen=True)
class Ran:
    """One test.

    Attributes:
        package: as Rego names it.
        file: relative to the policy folder.
        outcome: ``error`` where it could not be evaluated to its end; ``skipped`` for one that is named ``todo_``.
        message: of an error.
    """

    package: str
    name: str
    file: str
    line: int
    outcome: Outcome
    seconds: float
    message: str


Ranges = list[tuple[int, int]]
"""From a line to a line, both within."""


@dataclass(frozen=True)
class Lines:
    """Which lines of a file the tests ran, and which not; what holds nothing to run is in neither."""

    covered: Ranges
    not_covered: Ranges


@dataclass(frozen=True)
class Results:
    """What came of it.

    Attributes:
        tests: how many tests ran, of the folder's own.
        examples: how many examples were decided.
        coverage: the share of lines that the tests ran, by package; empty when a test failed.
        findings: what did not hold.
        ran: the tests, in OPA's order.
        lines: by file; empty when a test failed.
    """

    tests: int
    examples: int
    coverage: dict[str, float]
    findings: list[Finding]
    ran: list[Ran] = field(default_factory=list)
    lines: dict[str, Lines] = field(default_factory=dict)


def run_tests(tools: Tools, folder: PolicyFolder) -> Results:
    """Run tests, coverage and examples.

    The clock is the one in the input: builtins that read another do not exist for policies or tests.

    Raises:
        AuthoringError: the policies do not compile, or OPA fails.
    """
    examples = folder.examples()
    with ThreadPoolExecutor(2) as pool, allowed_builtins(tools.opa) as builtins:
        judged = pool.submit(judge, tools.opa, folder, examples)
        results = _read(_run(tools, folder, builtins))
        findings = [_failed(item) for item in results if item.get("fail") or item.get("error")]
        coverage: dict[str, float] = {}
        lines: dict[str, Lines] = {}
        if not findings:
            report = _covered(_run(tools, folder, builtins, *_coverage(tools.opa)))
            coverage, missed = cover(report)
            lines = _lines(report)
            findings += missed
        findings += judged.result()
    if not results:
        findings.append(Finding(".", 1, "test", "There are no tests.", "Write policy_test.rego beside the policy."))
    return Results(len(results), len(examples), coverage, sorted(findings), [_ran(item) for item in results], lines)


def run_some(tools: Tools, folder: PolicyFolder, packages: Collection[str]) -> list[Finding]:
    """Run the tests of some packages, without coverage and examples, and return those that do not hold.

    Raises:
        AuthoringError: the policies do not compile, or OPA fails.
    """
    named = "|".join(map(re.escape, sorted(packages)))
    with allowed_builtins(tools.opa) as builtins:
        results = _read(_run(tools, folder, builtins, "--run", rf"^data\.({named})\.[^.]+$"))
    return sorted(_failed(item) for item in results if item.get("fail") or item.get("error"))


def _run(tools: Tools, folder: PolicyFolder, builtins: str, *options: str) -> str:
    # The five seconds that OPA gives a test are few for one that tries many inputs on a busy machine.
    waiting = ["--timeout", f"{TEST_SECONDS}s"]
    arguments = ["test", "--bundle", ".", "--format", "json", "--capabilities", builtins, *waiting, *options]
    result = call(tools.opa, *arguments, cwd=folder.root)
    return result.stdout if result.stdout.lstrip().startswith(("[", "{")) else result.stdout + result.stderr


@cache
def _coverage(opa: Path) -> tuple[str, ...]:
    """Return the options that measure coverage, less the runs that say why a line was not covered: they take longer."""
    known = call(opa, "test", "--help", cwd=Path.cwd()).stdout
    return ("--coverage", "--coverage-runs", "") if "--coverage-runs" in known else ("--coverage",)


def _read(said: str) -> list[dict[str, Any]]:
    try:
        results = json.loads(said)
    except ValueError:
        hint = next((f" ({name} {why}, which no test may)" for name, why in FORBIDDEN.items() if name in said), "")
        raise AuthoringError(f"the policies do not compile{hint}:\n{said.strip()}") from None
    return results if isinstance(results, list) else []


def _covered(said: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(said)
    except ValueError:
        why = f"tests that held did not hold while their coverage was measured; try again:\n{said.strip()}"
        raise AuthoringError(why) from None
    return report


_OUTCOMES: dict[str, Outcome] = {"fail": "failed", "error": "error", "skip": "skipped"}


def _ran(item: dict[str, Any]) -> Ran:
    error = item.get("error")
    return Ran(
        package=str(item["package"]).removeprefix("data."),
        name=str(item["name"]),
        file=item["location"]["file"],
        line=item["location"]["row"],
        outcome=next((outcome for key, outcome in _OUTCOMES.items() if item.get(key)), "passed"),
        seconds=item.get("duration", 0) / 1e9,
        message=str(error.get("message", "error")) if isinstance(error, dict) else "",
    )


def _lines(report: dict[str, Any]) -> dict[str, Lines]:
    found = {}
    for name, file in report["files"].items():
        if not name.endswith("_test.rego"):
            missed = _rows(file.get("not_covered"))
            # A rule counts as run once it was tried; what of it was not is named apart.
            found[name] = Lines(_ranges(_rows(file.get("covered")) - missed), _ranges(missed))
    return found


def _rows(parts: list[dict[str, Any]] | None) -> set[int]:
    return {row for part in parts or () for row in range(part["start"]["row"], part["end"]["row"] + 1)}


def _ranges(rows: set[int]) -> Ranges:
    found: Ranges = []
    for row in sorted(rows):
        if found and found[-1][1] == row - 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found


def _failed(item: dict[str, Any]) -> Finding:
    place, name = item["location"], item["name"]
    message = f"{name} does not hold." if item.get("fail") else f"{name}: {item['error'].get('message', 'error')}."
    remedy = f"See why: opa test --bundle . --var-values --run '{item['package']}.{name}$' in the policy folder."
    return Finding(place["file"], place["row"], "test", message, remedy)


def judge(opa: Path, folder: PolicyFolder, examples: list[Example]) -> list[Finding]:
    """Find examples that are not decided as they say; those of one's own types are asked as the control plane asks.

    Raises:
        AuthoringError: the policies do not compile.
    """
    asked = {f"{example.package} {example.name}": (example.contract, example.input) for example in examples}
    answers = ask(opa, folder, asked)
    findings = []
    for example in examples:
        answer = answers.get(f"{example.package} {example.name}")
        answer = answer if isinstance(answer, dict) else {}
        allowed = answer.get("allow")
        reasons = sorted(str(reason.get("code")) for reason in answer.get("reasons", ()))
        if (allowed, reasons) == (example.decision, example.reasons):
            continue
        said = {True: "allowed", False: "denied", None: "left undecided"}[allowed]
        message = f"{example.title} It is {said}{' for ' + ', '.join(reasons) if reasons else ''}."
        if example.contract == OTHER and reasons == ["action_known"]:
            remedy = (
                "No package of the resource's type decides: package ztfm.extra.<type> is the type, letter by letter."
            )
        else:
            remedy = f"See why: ztfm policy eval {example.package.split('/')[-1]} --input {example.name}"
            remedy += f" --layer {folder.layer}" if isinstance(folder, LayerFolder) else ""
        name = example.path.relative_to(folder.root).as_posix()
        findings.append(Finding(name, line_of(example.path, '"decision"'), "example", message, remedy))
    return findings


def cover(report: dict[str, Any]) -> tuple[dict[str, float], list[Finding]]:
    """Return the share of covered lines by package, and what is not covered of those below the bound."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    missed: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, file in report["files"].items():
        if name.endswith("_test.rego"):
            continue
        package = Path(name).parent.as_posix()
        counts[package][0] += file.get("covered_lines", 0)
        counts[package][1] += file.get("not_covered_lines", 0)
        missed[package] += [(name, part["start"]["row"]) for part in file.get("not_covered", ())]
    shares = {name: covered / (covered + not_) for name, (covered, not_) in sorted(counts.items()) if covered + not_}
    findings = [
        Finding(name, row, "coverage", f"No test runs this line ({share:.0%} of {package}).", _COVER)
        for package, share in shares.items()
        if share < MIN_COVERAGE
        for name, row in missed[package]
    ]
    return shares, findings


_COVER = f"Test what it decides, both ways; {MIN_COVERAGE:.0%} of each package must be run."
