"""Clients that train against perturbed inputs: ``python -m evaluation.adversarial --quick --json``."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.tables import between
from evaluation.adversarial.federating import Robustness, federated
from evaluation.adversarial.perturbing import Perturbation
from evaluation.comparison.intervals import mean
from evaluation.demo.environment import quieten
from evaluation.federation.plan import FULL, QUICK
from evaluation.smart_home.task import DEVICES, load_task

RADII = (0.0, 0.15, 0.3)
TEST_STEPS = 10
QUICK_DEVICES = 8
EXAMPLE = "example: python -m evaluation.adversarial --seeds 0 1 --json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a federation for each radius and seed, and show what came of it."""
    options = _parser().parse_args(arguments)
    quieten()
    torch.set_num_threads(1)
    plan, devices = (QUICK, QUICK_DEVICES) if options.quick else (FULL, DEVICES)
    tested = [Perturbation(radius, TEST_STEPS) for radius in RADII]
    found: dict[int, list[Robustness]] = {}
    for seed in options.seeds:
        task = load_task(seed, options.cache)
        for radius in RADII:
            print(f"seed {seed}: training against a radius of {radius:g} ...", file=sys.stderr)
            one = federated(task, plan, Perturbation(radius, options.steps), tested, devices)
            found.setdefault(seed, []).append(one)
    header, *lines = rows(list(found.values()))
    if options.document:
        options.document.write_text(between(options.document.read_text(), "adversarial", header, lines))
    if options.json:
        told = [{"seed": seed, **asdict(one)} for seed, federations in found.items() for one in federations]
        print(json.dumps({"federations": told}))
    else:
        print("\n".join(" | ".join(row) for row in (header, *lines)))
    return 0


def rows(found: Sequence[Sequence[Robustness]]) -> list[tuple[str, ...]]:
    """The heads of the table, and a line for each radius: means over seeds.

    Args:
        found: of each seed, a federation for each of `RADII`, the plain one first.
    """
    heads = [f"accuracy at {radius:g}" if radius else "accuracy" for radius in RADII]
    lines: list[tuple[str, ...]] = [("trained against", *heads, "processor time of training, s", "over plain training")]
    for place, trained in enumerate(RADII):
        federations = [of[place] for of in found]
        shares = [_over_seeds((one.accuracy[radius] for one in federations), 3) for radius in RADII]
        seconds = _over_seeds((one.processor_seconds for one in federations), 1)
        ratios = _over_seeds((of[place].processor_seconds / of[0].processor_seconds for of in found), 2)
        lines.append((f"a radius of {trained:g}" if trained else "nothing", *shares, seconds, ratios))
    return lines


def _over_seeds(values: Iterable[float], digits: int) -> str:
    found = mean(values)
    return "" if found is None else found.rounded(digits)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.adversarial", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--steps", type=int, default=1, help="gradient steps in training; 1 is the fast gradient method"
    )
    parser.add_argument("--quick", action="store_true", help="half as many rounds of fewer devices")
    parser.add_argument("--cache", type=Path, help="folder for the frozen encoder's output")
    parser.add_argument("--document", type=Path, help="put the table between the marks of this file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
