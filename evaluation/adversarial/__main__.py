"""Clients that train against perturbed inputs: ``python -m evaluation.adversarial --quick --json``."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.tables import between
from evaluation.adversarial.federating import Robustness, federated
from evaluation.adversarial.perturbing import Perturbation
from evaluation.demo.environment import quieten
from evaluation.federation.plan import FULL, QUICK
from evaluation.smart_home.task import DEVICES, load_task

RADII = (0.0, 0.15, 0.3)
TEST_STEPS = 10
QUICK_DEVICES = 8
EXAMPLE = "example: python -m evaluation.adversarial --seed 1 --json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a federation for each radius, and show what came of it."""
    options = _parser().parse_args(arguments)
    quieten()
    torch.set_num_threads(1)
    task = load_task(options.seed, options.cache)
    plan, devices = (QUICK, QUICK_DEVICES) if options.quick else (FULL, DEVICES)
    tested = [Perturbation(radius, TEST_STEPS) for radius in RADII]
    found = []
    for radius in RADII:
        print(f"training against a radius of {radius:g} ...", file=sys.stderr)
        found.append(federated(task, plan, Perturbation(radius, options.steps), tested, devices))
    if options.document:
        header, *rows = _rows(found)
        options.document.write_text(between(options.document.read_text(), "adversarial", header, rows))
    if options.json:
        print(json.dumps({"seed": options.seed, "federations": [asdict(one) for one in found]}))
    else:
        print("\n".join(" | ".join(row) for row in _rows(found)))
    return 0


def _rows(found: Sequence[Robustness]) -> list[tuple[str, ...]]:
    heads = [f"accuracy at {radius:g}" if radius else "accuracy" for radius in RADII]
    rows: list[tuple[str, ...]] = [("trained against", *heads, "processor time of training, s", "over plain training")]
    plain = found[0].processor_seconds
    for one in found:
        shares = [f"{one.accuracy[radius]:.3f}" for radius in RADII]
        against = f"a radius of {one.trained_against:g}" if one.trained_against else "nothing"
        rows.append((against, *shares, f"{one.processor_seconds:.1f}", f"{one.processor_seconds / plain:.2f}"))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.adversarial", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--seed", type=int, default=0)
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
