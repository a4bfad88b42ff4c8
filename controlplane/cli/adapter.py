"""``ztfm adapter``: whether a backend's adapter keeps the seam.

The kit is the adapters' business, which the control plane does not need; it is loaded by name when asked for.
"""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

KIT = "adapters.conformance.command"

app = typer.Typer(
    help="Adapters of federated-learning backends.\n\n"
    "Example: `ztfm adapter check adapters.conformance.backends.pytorch`",
    no_args_is_help=True,
)


class Line(Protocol):
    """A case and what became of it."""

    case: str
    verdict: str
    faults: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        ...


class Row(Protocol):
    """What one backend's federation came to."""

    module: str
    seconds: float
    clients: list[dict[str, Any]]
    differences: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        ...


class Kit(Protocol):
    """What is asked of the adapters (`adapters.conformance.command`)."""

    FAULTS: tuple[type[Exception], ...]

    def listed(self) -> list[dict[str, Any]]:
        """Return the cases."""
        ...

    def check(
        self, module: str, names: Sequence[str], told: Callable[[Line], None], python: Path | None = None
    ) -> list[Line]:
        """Run cases with a backend, and return what became of each."""
        ...

    def compare(self, backends: Sequence[str], told: Callable[[Row], None]) -> list[Row]:
        """Run one federation on several backends, and return what became of each."""
        ...


@app.command("check")
def check(
    module: Annotated[
        str | None, typer.Argument(metavar="MODULE", help="The backend's module, with a function `federation`.")
    ] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only this case; may be given several times.")] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="Show the cases, and run none.")] = False,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter of the environment with the backend's packages; none for ours.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a backend's adapter through all that clients do wrong, with a control plane and an OPA of its own.

    Exits with 0 when every case held or does not apply, with 1 when one failed, with 2 when the kit could not work.

    Example: `ztfm adapter check adapters.conformance.backends.pytorch --case sign-flip --case hanging`
    """
    kit = _kit()
    if list_cases:
        _show_cases(kit.listed(), json_output)
        return
    if module is None:
        _fail("which MODULE? It has a function `federation` (docs/adapters.md); --list shows the cases")
    try:
        lines = kit.check(module, case or [], _progress(json_output), python)
    except ModuleNotFoundError as error:
        _fail(f"the package '{error.name}' is missing: pip install 'ztfm[server,torch]'")
    except kit.FAULTS as error:
        _fail(str(error))
    is_kept = all(line.verdict != "failed" for line in lines)
    if json_output:
        typer.echo(json.dumps({"module": module, "ok": is_kept, "cases": [line.to_json() for line in lines]}))
    else:
        Console().print(_table(lines))
        typer.echo(f"{module}: {_counted(lines)}")
    if not is_kept:
        raise typer.Exit(1)


@app.command("compare")
def compare(
    backends: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE[@PYTHON]...", help="Backends' modules; after @ the interpreter of another environment."
        ),
    ],
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run one federation, with the same honest clients and attackers, on each backend, and compare what is decided.

    Exits with 0 when it is the same, with 1 when not, with 2 when the kit could not work.

    Example: `ztfm adapter compare adapters.conformance.backends.pytorch adapters.flower.conformance`
    """
    kit = _kit()

    def told(row: Row) -> None:
        print(f"{row.module}: {row.seconds:.0f} s", file=sys.stderr, flush=True)

    try:
        rows = kit.compare(backends, told)
    except ModuleNotFoundError as error:
        _fail(f"the package '{error.name}' is missing: pip install 'ztfm[server,torch]'")
    except kit.FAULTS as error:
        _fail(str(error))
    different = [said for row in rows for said in row.differences]
    if json_output:
        typer.echo(json.dumps({"ok": not different, "federations": [row.to_json() for row in rows]}))
    else:
        Console().print(_compared(rows))
        typer.echo("\n".join(different) or f"the same was decided with {len(rows)} backends")
    if different:
        raise typer.Exit(1)


def _compared(rows: Sequence[Row]) -> Table:
    table = Table(
        "client", "does", *(row.module.removeprefix("adapters.").removesuffix(".conformance") for row in rows)
    )
    for number, first in enumerate(rows[0].clients):
        cells = [_cell(row.clients[number]) for row in rows]
        table.add_row(str(number + 1), first["behaviour"], *cells)
    return table


def _cell(client: dict[str, Any]) -> str:
    parts = [f"{len(client[name])} {name}" for name in ("accepted", "refused") if client[name]]
    return ", ".join(parts) + ("" if client["status"] == "active" else f"; {client['status']}")


def _show_cases(found: Sequence[dict[str, Any]], json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps({"cases": found}))
        return
    table = Table("case", "what goes wrong", "what must hold", title=f"{len(found)} cases")
    for one in found:
        table.add_row(one["name"], one["what"], one["must"])
    Console().print(table)


def _table(lines: Sequence[Line]) -> Table:
    table = Table("case", "verdict", "seconds", "why")
    colours = {"held": "[green]held[/]", "failed": "[red]failed[/]"}
    for line in lines:
        shown = colours.get(line.verdict, f"[yellow]{line.verdict}[/]")
        table.add_row(line.case, shown, f"{line.seconds:.1f}", escape("\n".join(line.faults)))
    return table


def _counted(lines: Sequence[Line]) -> str:
    verdicts = ("held", "failed", "not applicable")
    return ", ".join(f"{sum(line.verdict == verdict for line in lines)} {verdict}" for verdict in verdicts)


def _progress(json_output: bool) -> Callable[[Line], None]:
    """Return what tells of each case as soon as it is over; where JSON is wanted, on standard error."""

    def told(line: Line) -> None:
        why = f": {line.faults[0].splitlines()[0]}" if line.faults else ""
        print(f"{line.verdict:14} {line.case}{why}", file=sys.stderr if json_output else sys.stdout, flush=True)

    return told


def _kit() -> Kit:
    try:
        return cast("Kit", import_module(KIT))
    except ModuleNotFoundError as error:
        _fail(f"the package '{error.name}' is missing: pip install 'ztfm[server,torch]'")


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm adapter: {message}", err=True)
    raise typer.Exit(2) from None
