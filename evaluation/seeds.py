"""The demo over several seeds, one process each: ``python -m evaluation.seeds --seeds 0 1 2 --json``."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    "seed",
    "clean_accuracy",
    "unguarded_accuracy",
    "guarded_accuracy",
    "unguarded_asr",
    "guarded_asr",
    "attackers_caught",
    "honest_quarantined",
)
POINTS_LOST = 0.01
MOST_ATTACK_SUCCESS = 0.05


def run_seed(seed: int, *, is_quick: bool) -> dict[str, Any]:
    """The figures of the demo with ``seed``.

    Raises:
        subprocess.CalledProcessError: it failed; why is on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "controlplane.cli", "demo", "--json", "--seed", str(seed)]
        command += ["--report", str(Path(folder) / "demo.html"), *(["--quick"] if is_quick else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own command, no shell
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def holds(figures: dict[str, Any]) -> bool:
    """Whether a run reached all that the demo promises.

    Accuracy within a point of the clean run's, attack success at most 5 %, every attacker quarantined, nobody else.
    """
    return bool(
        figures["guarded_accuracy"] >= figures["clean_accuracy"] - POINTS_LOST
        and figures["guarded_asr"] <= MOST_ATTACK_SUCCESS
        and figures["attackers_caught"] == figures["attackers"]
        and figures["honest_quarantined"] == 0
    )


def table(results: Sequence[dict[str, Any]]) -> str:
    """The figures of all seeds as a Markdown table."""
    rows = [[*(str(result[name]) for name in COLUMNS), "yes" if holds(result) else "NO"] for result in results]
    heads = [*(name.replace("_", " ") for name in COLUMNS), "holds"]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows))


def main() -> int:
    """Run the seeds of the command line; 1 where one of them falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="the smaller run")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    results = [run_seed(seed, is_quick=options.quick) for seed in options.seeds]
    is_sound = all(holds(result) for result in results)
    print(json.dumps({"holds": is_sound, "runs": results}) if options.json else table(results))
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
