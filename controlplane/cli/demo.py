"""``ztfm demo``: a federation under attack, unguarded and guarded, on a real model and real data."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn, TextIO

import typer

INTERRUPTED = 130
ENDING = (signal.SIGINT, signal.SIGTERM)

Attest = Literal["none", "tpm"]


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="A smaller run of the same job.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else there.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=1_000_000, help="Fixes task, attackers and training.")] = 0,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("reports/demo.html"),
    encoder: Annotated[str | None, typer.Option(help="A BERT of the Hugging Face hub; none for the packaged.")] = None,
    attest: Annotated[Attest, typer.Option(help="By what homes prove what they run on: TPMs in software.")] = "none",
) -> None:
    """Run a federation three times: clean, attacked, and attacked with a guard; then ask the tuned model.

    Example: `ztfm demo --quick --json`
    """
    for number in ENDING:
        signal.signal(number, _interrupt)
    try:
        from evaluation.demo.command import run

        with _own_stdout() if json_output else nullcontext() as stdout:
            problem, found = run(
                seed=seed, is_quick=quick, report=report, is_json=json_output, encoder=encoder, attest=attest
            )
            if stdout is not None and not problem:
                print(json.dumps(found), file=stdout, flush=True)
    except ModuleNotFoundError as error:
        problem = f"the package '{error.name}' is missing: pip install 'ztfm[demo]'"
    except KeyboardInterrupt:
        typer.echo("ztfm demo: interrupted; everything that it started is stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if problem:
        typer.echo(f"ztfm demo: {problem}", err=True)
        raise typer.Exit(1)


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Standard output for us alone: what libraries and their processes print goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w") as stdout:
            yield stdout
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End in order; asked again meanwhile, which an impatient user does, nothing of it is cut short."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
