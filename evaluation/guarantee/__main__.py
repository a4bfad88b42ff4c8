"""The promise against fleets: ``python -m evaluation.guarantee [--json] [--quick]``.

``--write-calibration`` measures instead what honest homes score, and writes it into the terms of the policies.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from controlplane.contracts.behaviour import BehaviourTerms
from evaluation.guarantee.calibration import calibrated, federations, is_of_updates, written
from evaluation.guarantee.fleet import Data, embedded
from evaluation.guarantee.report import rows, table
from evaluation.guarantee.running import Watching, calibrating, each, watched
from evaluation.guarantee.scenarios import scenarios
from evaluation.smart_home.task import load_task

POLICIES = Path(__file__).resolve().parents[2] / "policies" / "data"
FEDERATIONS, ROUNDS = 50, 200
QUICK_FEDERATIONS, QUICK_ROUNDS = 1, 6


def measure(data: Data, terms: BehaviourTerms, alpha: float, options: argparse.Namespace) -> dict[str, Any]:
    """Run all scenarios and return what is reported of them."""
    jobs = [
        Watching(data, scenario, federation, terms, alpha)
        for scenario in scenarios(options.federations, options.rounds)
        for federation in scenario.each()
    ]
    seen = [one for found in each(watched, jobs, options.processes) for one in found]
    return {
        "alpha": alpha,
        "rounds": options.rounds,
        "horizon": terms.horizon,
        "heterogeneity": terms.heterogeneity,
        "rows": rows(seen, terms.levels, terms.heterogeneity),
    }


def calibrate(data: Data, terms: BehaviourTerms, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measure what honest homes score and return the calibration."""
    jobs = [(data, federation) for federation in federations(options.federations, options.rounds)]
    found = [one for scores in each(calibrating, jobs, options.processes) for one in scores]
    return calibrated(found, terms)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    options = _parser().parse_args(arguments)
    if options.quick:
        options.federations, options.rounds = QUICK_FEDERATIONS, QUICK_ROUNDS
    path = options.policies / "behaviour" / "data.json"
    document = json.loads(path.read_text())
    terms = BehaviourTerms.model_validate(document)
    data = embedded(load_task(0, options.cache))
    if options.write_calibration:
        others = {name: kept for name, kept in document["calibration"].items() if not is_of_updates(name)}
        path.write_text(written({**document, "calibration": {**others, **calibrate(data, terms, options)}}))
        return 0
    alpha = json.loads((options.policies / "limits" / "data.json").read_text())["behaviour"]["alpha"]
    found = measure(data, terms, alpha, options)
    print(json.dumps(found) if options.json else table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.guarantee", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--quick", action="store_true", help="one federation of each kind, for six rounds")
    parser.add_argument("--federations", type=int, default=FEDERATIONS, help="of 20 homes, for each skew")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each federation")
    parser.add_argument("--processes", type=int, default=1, help="as many cores as it may use")
    parser.add_argument("--policies", type=Path, default=POLICIES, help="folder of the policies' data")
    parser.add_argument("--cache", type=Path, help="folder for the frozen encoder's output")
    parser.add_argument(
        "--write-calibration", action="store_true", help="measure what honest homes score, write it into the terms"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
