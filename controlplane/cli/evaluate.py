"""``ztfm evaluate``: attacks against defences, in many federations, and a report of it."""

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.demo import ENDING, INTERRUPTED, _interrupt, _own_stdout

Words = list[str] | None


def evaluate(
    quick: Annotated[bool, typer.Option("--quick", help="A small grid: under four minutes on two cores.")] = False,
    policies: Annotated[
        Path | None, typer.Option(help="Your own policy folder, tried as one more defence against every attack.")
    ] = None,
    task: Annotated[Words, typer.Option(help="Only this one; may be repeated: smart_home, activity.")] = None,
    attack: Annotated[Words, typer.Option(help="Only this one, and what it is held against; may be repeated.")] = None,
    defence: Annotated[Words, typer.Option(help="Only this one, and plain averaging; may be repeated.")] = None,
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="Instead of the grid's; may be repeated.")] = None,
    skew: Annotated[Words, typer.Option(help="Dirichlet parameter instead of the grid's, or 'natural'.")] = None,
    share: Annotated[list[float] | None, typer.Option(help="Of hostile devices, instead of the grid's.")] = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Federations at the same time, a core each.")] = 2,
    resume: Annotated[
        bool, typer.Option("--resume/--only-report", help="Run what is missing, or report what there is.")
    ] = True,
    folder: Annotated[Path, typer.Option(help="Where results are kept.")] = Path(".cache/comparison"),
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("reports/evaluation.html"),
    document: Annotated[
        Path | None, typer.Option(help="A Markdown file whose generated blocks are written anew.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else there.")] = False,
) -> None:
    """Try attacks against defences on two tasks, in many federations, and report where this system loses.

    What was run before with the same code and policies is not run again.

    Example: `ztfm evaluate --quick --policies policies`
    """
    for number in ENDING:
        signal.signal(number, _interrupt)
    try:
        from evaluation.comparison import command

        options = command.Options(
            quick=quick,
            tasks=tuple(task or ()),
            attacks=tuple(attack or ()),
            defences=tuple(defence or ()),
            seeds=tuple(seeds or ()),
            skews=tuple(map(command.skew, skew or ())),
            shares=tuple(share or ()),
            policies=policies,
            processes=processes,
            folder=folder,
            report=report,
            document=document,
            only_report=not resume,
        )
        with _own_stdout() if json_output else nullcontext() as stdout:
            problem, found = command.run(options)
            if not problem:
                print(command.told(found, json_output), file=stdout, flush=True)
                if found["failed"]:
                    problem = f"{len(found['failed'])} cells could not be run; the same command tries them again"
    except ModuleNotFoundError as error:
        problem = f"the package '{error.name}' is missing: pip install 'ztfm[evaluation]'"
    except ValueError as error:
        problem = str(error)
    except KeyboardInterrupt:
        typer.echo(
            "ztfm evaluate: interrupted; what was run is kept, and the same command goes on from there", err=True
        )
        raise typer.Exit(INTERRUPTED) from None
    if problem:
        typer.echo(f"ztfm evaluate: {problem}", err=True)
        raise typer.Exit(1)
