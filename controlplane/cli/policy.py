"""``ztfm policy``: what a policy author does all day."""

import json
import os
import sys
import time
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
    create_layer,
    explain,
    open_folder,
    read_request,
    run_tests,
    start_folder,
    write_reference,
)
from controlplane.authoring.explaining import Explanation
from controlplane.authoring.tools import locate_linter
from controlplane.cli.configured import load_settings
from controlplane.cli.policy_explained import shown, told
from controlplane.cli.policy_findings import counted, located, show_findings, tested_document, tested_line, undone
from controlplane.cli.policy_watch import watch_checks, watch_tests
from controlplane.contracts.policies import PolicyLayer
from controlplane.sidecar import SidecarError, locate_opa
from controlplane.sidecar.folders import product_folder, tools_folder

FOUND, FAULT = 1, 2
REFERENCE = Path("docs/policy-reference.md")

app = typer.Typer(
    help="Policies: write, check and test them, sign and publish them, go back, and learn why somebody was denied.\n\n"
    "Example: `ztfm policy check`",
    no_args_is_help=True,
)

Policies = Annotated[Path | None, typer.Option(help="Policy folder, instead of the built-in one.")]
Layer = Annotated[PolicyLayer, typer.Option(help="Whose policies the folder holds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one a run with --watch.")]
Watch = Annotated[bool, typer.Option("--watch", help="Do it again whenever a file changes, until Ctrl-C.")]


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The type of resource to decide about, such as door, or a layer's rule.")],
    policies: Policies = None,
    layer: Layer = "base",
    json_output: AsJson = False,
) -> None:
    """Make a decision about a type of resource of your own: policy, tests, examples, data and its schema, reasons.

    It passes `check` and `test` as it is. A folder that does not exist yet starts as a copy of the built-in policies.
    With `--layer` it is a rule of a tenant or a site, in a folder of their own, that only narrows what the base allows.

    Exits with 0 when it was made, with 2 when it could not be; nothing is overwritten.

    Example: `ztfm policy new door --policies my-policies`
    """
    try:
        opa, built_in, is_started = locate_opa(os.environ).path, product_folder("policies"), False
        if layer == "base":
            is_started = policies is not None and start_folder(policies, built_in)
            made = create(opa, PolicyFolder.open(_source(policies), built_in), name)
        else:
            made = create_layer(opa, _source(policies, layer), layer, name)
    except (AuthoringError, SidecarError, OSError) as error:
        _fail("new", str(error))
    if json_output:
        paths = [str(path) for path in made]
        decision = f"ztfm.extra.{name}" if layer == "base" else f"{layer}.rules"
        typer.echo(json.dumps({"decision": decision, "copied": is_started, "files": paths}))
        return
    if is_started:
        typer.echo(f"{policies} is a copy of the built-in policies")
    for path in made:
        typer.echo(f"  {shown(path)}")
    chosen = f" --policies {policies}" if policies else ""
    chosen += f" --layer {layer}" if layer != "base" else ""
    rules = "policy.rego" if layer == "base" else f"{name}.rego"
    typer.echo(f"next: ztfm policy check{chosen}; ztfm policy test{chosen}; then write your rules into {rules}")


@app.command("check")
def check_policies(
    policies: Policies = None,
    layer: Layer = "base",
    lint: Annotated[bool, typer.Option(help="Run the linter too.")] = True,
    watch: Watch = False,
    json_output: AsJson = False,
) -> None:
    """Check format, strict compile, structure, data, METADATA, requirements, reasons, examples; then lint.

    With `--watch` it does again what a change can affect, and tells what is new and what is whole again; the linter
    then looks at the changed files alone.

    Exits with 0 when all holds, with 1 when something does not, with 2 when it could not be checked.

    Example: `ztfm policy check --policies my-policies --watch`
    """
    folder, tools = _open("check", policies, layer)
    if watch:
        watch_checks(tools, folder, lint=lint, as_json=json_output)
    begun = time.monotonic()
    findings: list[Finding] = []
    skipped: dict[str, str] = {}
    try:
        for done in check(tools, folder, lint=lint):
            findings += done.findings
            skipped |= {done.check: done.skipped} if done.skipped else {}
            if not json_output:
                show_findings(folder, done.findings)
    except AuthoringError as error:
        _fail("check", str(error))
    if json_output:
        typer.echo(json.dumps({"findings": located(folder, findings), "skipped": skipped}))
    else:
        typer.echo(f"{counted(len(findings), 'finding')} in {time.monotonic() - begun:.2f} s{undone(skipped)}")
    raise typer.Exit(FOUND if findings else 0)


@app.command("test")
def test_policies(
    policies: Policies = None, layer: Layer = "base", watch: Watch = False, json_output: AsJson = False
) -> None:
    """Run the tests with coverage, which must reach 95 % of every package, and decide the examples.

    No other clock is there than the input's. With `--watch` the tests that a change can affect come first, then all; it
    tells which fail newly and which hold again.

    Exits with 0 when all holds, with 1 when something does not, with 2 when it could not be tested.

    Example: `ztfm policy test --policies my-policies --watch`
    """
    folder, tools = _open("test", policies, layer)
    if watch:
        watch_tests(tools, folder, as_json=json_output)
    begun = time.monotonic()
    try:
        tested = run_tests(tools, folder)
    except AuthoringError as error:
        _fail("test", str(error))
    if json_output:
        typer.echo(json.dumps(tested_document(folder, tested)))
    else:
        show_findings(folder, tested.findings)
        found = counted(len(tested.findings), "finding")
        typer.echo(f"{tested_line(tested)}: {found} in {time.monotonic() - begun:.2f} s")
    raise typer.Exit(FOUND if tested.findings else 0)


@app.command("eval")
def evaluate(
    action: Annotated[str, typer.Argument(help="A decision (inference), a type of your own (door) or an action.")],
    input_file: Annotated[
        str, typer.Option("--input", help="Example, recorded decision or facts: a file, an example's name, or -.")
    ] = "-",
    policies: Policies = None,
    layer: Layer = "base",
    json_output: AsJson = False,
) -> None:
    """Decide one request with OPA and explain it: what was required, what is missing, where its rule is.

    With `--layer` it is what the layer makes of a request that the base allows.

    Exits with 0 when it is allowed, with 1 when it is denied, with 2 when there is no decision.

    Example: `ztfm policy eval inference --input denied_over_budget`
    """
    folder, tools = _open("eval", policies, layer)
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


def _source(policies: Path | None, layer: PolicyLayer = "base") -> Path:
    if layer != "base" and policies is None:
        raise AuthoringError(f"name the folder of the {layer}'s policies with --policies")
    return policies or load_settings().policies or product_folder("policies")


def _open(command: str, policies: Path | None, layer: PolicyLayer = "base") -> tuple[PolicyFolder, Tools]:
    try:
        folder = open_folder(_source(policies, layer), product_folder("policies"), layer)
        return folder, Tools(locate_opa(os.environ).path, locate_linter(os.environ, tools_folder()))
    except (AuthoringError, SidecarError, OSError) as error:
        _fail(command, str(error))


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


def _tell(folder: PolicyFolder, explanation: Explanation) -> None:
    verdict = f"allowed for {explanation.ttl_seconds:g} s" if explanation.allow else "denied"
    typer.echo(f"{verdict} by {explanation.package}")
    for line in told(explanation, folder.root):
        typer.echo(line)


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm policy {command}: {message}", err=True)
    raise typer.Exit(FAULT) from None
