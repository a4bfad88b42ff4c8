"""``ztfm policy``: what a policy author does all day."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.authoring import (
    AuthoringError,
    Finding,
    PolicyFolder,
    Tools,
    check,
    create,
    explain,
    read_request,
    run_tests,
    start_folder,
    write_reference,
)
from controlplane.authoring.explaining import Explanation, Requirement
from controlplane.authoring.tools import locate_linter
from controlplane.authoring.watching import changes, snapshot
from controlplane.cli.serve import load_settings
from controlplane.sidecar import SidecarError, locate_opa
from controlplane.sidecar.folders import product_folder, tools_folder

FOUND, FAULT = 1, 2
REFERENCE = Path("docs/policy-reference.md")

app = typer.Typer(
    help="Write policies: make, check, test, ask, describe and replay decisions.\n\nExample: `ztfm policy check`",
    no_args_is_help=True,
)

Policies = Annotated[Path | None, typer.Option(help="Policy folder, instead of the built-in one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one a run with --watch.")]
Watch = Annotated[bool, typer.Option("--watch", help="Do it again whenever a file changes, until Ctrl-C.")]


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The type of resource to decide about, such as door.")],
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Make a decision about a type of resource of your own: policy, tests, examples, data and its schema, reasons.

    It passes `check` and `test` as it is. A folder that does not exist yet starts as a copy of the built-in policies.

    Exits with 0 when it was made, with 2 when it could not be; nothing is overwritten.

    Example: `ztfm policy new door --policies my-policies`
    """
    try:
        built_in = product_folder("policies")
        is_started = policies is not None and start_folder(policies, built_in)
        folder = PolicyFolder.open(_source(policies), built_in)
        made = create(locate_opa(os.environ).path, folder, name)
    except (AuthoringError, SidecarError, OSError) as error:
        _fail("new", str(error))
    if json_output:
        paths = [str(path) for path in made]
        typer.echo(json.dumps({"decision": f"ztfm.extra.{name}", "copied": is_started, "files": paths}))
        return
    if is_started:
        typer.echo(f"{policies} is a copy of the built-in policies")
    for path in made:
        typer.echo(f"  {_shown(path)}")
    chosen = f" --policies {policies}" if policies else ""
    typer.echo(f"next: ztfm policy check{chosen}; ztfm policy test{chosen}; then write your rules into policy.rego")


@app.command("check")
def check_policies(
    policies: Policies = None,
    lint: Annotated[bool, typer.Option(help="Run the linter too.")] = True,
    watch: Watch = False,
    json_output: AsJson = False,
) -> None:
    """Check format, strict compile, structure, data, METADATA, requirements, reasons, examples; then lint.

    Exits with 0 when all holds, with 1 when something does not, with 2 when it could not be checked.

    Example: `ztfm policy check --policies my-policies --watch`
    """
    folder, tools = _open("check", policies)

    def once() -> bool:
        begun = time.monotonic()
        findings: list[Finding] = []
        skipped: dict[str, str] = {}
        for done in check(tools, folder, lint=lint):
            findings += done.findings
            skipped |= {done.check: done.skipped} if done.skipped else {}
            if not json_output:
                _show(folder, done.findings)
        if json_output:
            typer.echo(json.dumps({"findings": _located(folder, findings), "skipped": skipped}))
        else:
            left = "".join(f"; not done: {name} ({why})" for name, why in skipped.items())
            typer.echo(f"{_count(len(findings), 'finding')} in {time.monotonic() - begun:.2f} s{left}")
        return not findings

    _run("check", folder, once, watch)


@app.command("test")
def test_policies(policies: Policies = None, watch: Watch = False, json_output: AsJson = False) -> None:
    """Run the tests with coverage, which must reach 95 % of every package, and decide the examples.

    No other clock is there than the input's.

    Exits with 0 when all holds, with 1 when something does not, with 2 when it could not be tested.

    Example: `ztfm policy test --policies my-policies --watch`
    """
    folder, tools = _open("test", policies)

    def once() -> bool:
        begun, tested = time.monotonic(), run_tests(tools, folder)
        if json_output:
            found = {**asdict(tested), "findings": _located(folder, tested.findings)}
            typer.echo(json.dumps(found))
        else:
            _show(folder, tested.findings)
            least = min(tested.coverage.values(), default=None)
            covered = f", coverage at least {least:.0%}" if least is not None else ""
            ran = f"{_count(tested.tests, 'test')}, {_count(tested.examples, 'example')}{covered}"
            typer.echo(f"{ran}: {_count(len(tested.findings), 'finding')} in {time.monotonic() - begun:.2f} s")
        return not tested.findings

    _run("test", folder, once, watch)


@app.command("eval")
def evaluate(
    action: Annotated[str, typer.Argument(help="A decision (inference), a type of your own (door) or an action.")],
    input_file: Annotated[
        str, typer.Option("--input", help="Example, recorded decision or facts: a file, an example's name, or -.")
    ] = "-",
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Decide one request with OPA and explain it: what was required, what is missing, where its rule is.

    Exits with 0 when it is allowed, with 1 when it is denied, with 2 when there is no decision.

    Example: `ztfm policy eval inference --input denied_over_budget`
    """
    folder, tools = _open("eval", policies)
    try:
        request = read_request(folder, action, _input(folder, action, input_file))
        explanation = explain(tools.opa, folder, request)
    except (AuthoringError, OSError, UnicodeDecodeError) as error:
        _fail("eval", str(error))
    if json_output:
        typer.echo(json.dumps(asdict(explanation)))
    else:
        _tell(folder, explanation)
    raise typer.Exit(0 if explanation.allow else FOUND)


@app.command("docs")
def docs(
    out: Annotated[Path, typer.Option(help="The file to write; - prints it.")] = REFERENCE,
    is_check: Annotated[bool, typer.Option("--check", help="Write nothing; say whether the file is current.")] = False,
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Write the reference of all decisions, inputs, reasons, remedies and limits, from metadata and schemas.

    Exits with 0, with 1 when `--check` finds that the file is not current, with 2 when it could not be written.

    Example: `ztfm policy docs --out docs/policy-reference.md`
    """
    folder, tools = _open("docs", policies)
    try:
        text = write_reference(tools, folder)
        if str(out) == "-":
            typer.echo(text, nl=False)
            return
        is_current = out.is_file() and out.read_text() == text
        if not is_current and not is_check:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text)
    except (AuthoringError, OSError) as error:
        _fail("docs", str(error))
    is_stale = is_check and not is_current
    if json_output:
        typer.echo(json.dumps({"file": str(out), "current": not is_stale, "written": not (is_current or is_check)}))
    else:
        typer.echo(f"{out} is not current: run ztfm policy docs --out {out}" if is_stale else f"{out} is current")
    if is_stale:
        raise typer.Exit(FOUND)


def _source(policies: Path | None) -> Path:
    return policies or load_settings().policies or product_folder("policies")


def _open(command: str, policies: Path | None) -> tuple[PolicyFolder, Tools]:
    try:
        folder = PolicyFolder.open(_source(policies), product_folder("policies"))
        return folder, Tools(locate_opa(os.environ).path, locate_linter(os.environ, tools_folder()))
    except (AuthoringError, SidecarError, OSError) as error:
        _fail(command, str(error))


def _run(command: str, folder: PolicyFolder, once: Callable[[], bool], watch: bool) -> None:
    seen = snapshot(folder.root)
    try:
        holds = once()
        if not watch:
            raise typer.Exit(0 if holds else FOUND)
    except AuthoringError as error:
        if not watch:
            _fail(command, str(error))
        typer.echo(f"ztfm policy {command}: {error}", err=True)
    try:
        for changed in changes(folder.root, seen):
            typer.echo(
                f"\nchanged: {', '.join(path.relative_to(folder.root).as_posix() for path in changed)}", err=True
            )
            try:
                once()
            except AuthoringError as error:
                typer.echo(f"ztfm policy {command}: {error}", err=True)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _input(folder: PolicyFolder, action: str, name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    if Path(name).is_file():
        return Path(name).read_text()
    packages = [package for package in folder.decisions() if package.split("/")[-1] == action] or folder.decisions()
    for path in (path for package in packages for path in folder.example_files(package)):
        if path.stem == name:
            return path.read_text()
    raise AuthoringError(f"{name} is neither a file nor the name of an example of {action}")


def _show(folder: PolicyFolder, findings: Sequence[Finding]) -> None:
    for item in findings:
        typer.echo(f"{_shown(folder.root / item.file)}:{item.line}: {item.check}: {item.message}\n    {item.remedy}")


def _located(folder: PolicyFolder, findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [{**asdict(item), "file": str(folder.root / item.file)} for item in findings]


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _tell(folder: PolicyFolder, explanation: Explanation) -> None:
    verdict = f"allowed for {explanation.ttl_seconds:g} s" if explanation.allow else "denied"
    typer.echo(f"{verdict} by {explanation.package}")
    if explanation.obligations:
        typer.echo(f"obligations: {json.dumps(explanation.obligations)}")
    held = [item for item in explanation.requirements if item.held]
    for item in (item for item in explanation.requirements if not item.held):
        _tell_missing(folder, item)
    width = max((len(item.code) for item in held), default=0)
    for item in held:
        typer.echo(f"  held     {item.code:{width}}  {_where(folder, item.file, item.line)}")


def _tell_missing(folder: PolicyFolder, item: Requirement) -> None:
    typer.echo(f"  {'waived ' if item.waived else 'MISSING'}  {item.code}  {_where(folder, item.file, item.line)}")
    if item.message:
        typer.echo(f"           {item.message}\n           Remedy: {item.remedy}")
    for condition in item.conditions:
        typer.echo(f"           not so: {condition.text}  ({_where(folder, condition.file, condition.line)})")
        for name, value in condition.values.items():
            typer.echo(f"               {name} = {value if value == 'undefined' else json.dumps(value)}")


def _where(folder: PolicyFolder, file: str, line: int) -> str:
    return f"{_shown(folder.root / file)}:{line}" if file else ""


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm policy {command}: {message}", err=True)
    raise typer.Exit(FAULT) from None
