"""What ``ztfm demo`` does once it knows its options."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.demo.environment import quieten

if TYPE_CHECKING:
    # It brings torch, which is to come after `quieten`.
    from evaluation.demo.outcome import Attest

_EMBEDDED = (
    "ztfm demo: no Open Policy Agent is to be had here (ztfm doctor): the embedded engine evaluates the same policies, "
    "as WebAssembly"
)


def run(
    *, seed: int, is_quick: bool, report: Path, is_json: bool, encoder: str | None = None, attest: "Attest" = "none"
) -> tuple[str, dict[str, Any]]:
    """Run the demo, write its report and return its figures, or in their place what kept it from running.

    A terminal gets bars and tables, anything else plain lines.

    Args:
        seed: fixes task, attackers and training.
        is_quick: the smaller run.
        report: where the HTML report goes.
        is_json: progress goes to standard error, for standard output is the JSON object's.
        encoder: a model of the Hugging Face hub; none for the packaged one.
        attest: by what homes prove what they run on.
    """
    quieten(is_offline=encoder is None)
    from rich.console import Console

    from adapters.attesting.interface import CannotAttest
    from evaluation.demo.attesting import require_tpms
    from evaluation.demo.plain_lines import PlainLines
    from evaluation.demo.plane import PlaneFailed, engine_here
    from evaluation.demo.report import write_report
    from evaluation.demo.scene import Options, run_demo
    from evaluation.demo.terminal import Terminal
    from evaluation.smart_home.pretrained import PretrainedError, hub_folder

    to = sys.stderr if is_json else sys.stdout
    console = Console(file=to)
    try:
        # Tried first: a report that cannot be written should not come to light after minutes.
        report.parent.mkdir(parents=True, exist_ok=True)
        folder = None if encoder is None else hub_folder(encoder)
        if attest == "tpm":
            require_tpms()
        engine = engine_here()
        if engine == "embedded":
            print(_EMBEDDED, file=sys.stderr, flush=True)
        options = Options(seed=seed, is_quick=is_quick, encoder=folder, engine=engine, attest=attest)
        if is_json or not console.is_terminal:
            outcome = run_demo(options, PlainLines(to))
        else:
            with Terminal(console, options.resolved_plan.rounds) as terminal:
                outcome = run_demo(options, terminal)
        write_report(outcome, report)
    except (PlaneFailed, PretrainedError, CannotAttest, OSError) as error:
        return str(error), {}
    print(f"report: {report.resolve()}", file=to)
    return "", outcome.to_json()
