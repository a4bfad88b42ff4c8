"""How strong an attack on the model must be to count: ``python -m evaluation.trust.tuning --skews 0.5 0.1``.

Strengths are tried from the weakest on, until federated averaging with nobody on guard loses five points of accuracy.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from evaluation.demo.environment import quieten
from evaluation.federation.plan import FULL, QUICK
from evaluation.smart_home.attacks import Attack
from evaluation.trust.bars import points_lost
from evaluation.trust.fields import Field
from evaluation.trust.scenarios import SKEWS, TUNED
from evaluation.trust.unguarded import trained

LEAST_POINTS = 5.0


def tune(field: Field, name: str, clean: float) -> Iterator[tuple[float, float]]:
    """Try the strengths of an attack; yield each with the points that it costs, until it costs five.

    Args:
        field: on which.
        name: of the attack.
        clean: accuracy where nobody attacks.
    """
    tuned = TUNED[name]
    for strength in tuned.steps:
        attacks: dict[int, Attack] = dict.fromkeys(field.task.attacks, tuned.attack(strength))
        lost = points_lost(clean, trained(field, *field.under(attacks)).accuracy)
        yield strength, lost
        if lost >= LEAST_POINTS:
            return


def main() -> int:
    """Tune every attack on every skew that was asked for, and say what it comes to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.trust.tuning", description=__doc__)
    parser.add_argument("--attacks", nargs="+", choices=TUNED, default=list(TUNED), metavar="ATTACK")
    parser.add_argument("--skews", type=float, nargs="+", default=list(SKEWS), help="Dirichlet parameters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="half as many rounds on fewer sentences")
    parser.add_argument("--cache", type=Path, default=Path(".cache/trust"), help="keeps the frozen encoder's output")
    options = parser.parse_args()
    quieten()
    torch.set_num_threads(1)
    for skew in options.skews:
        field = Field.prepared(skew, options.seed, QUICK if options.quick else FULL, options.cache / "trunk")
        clean = trained(field, *field.under({})).accuracy
        for name in options.attacks:
            for strength, lost in tune(field, name, clean):
                print(f"skew {skew:g}, {name} {strength:g}: {lost:.1f} points of {100 * clean:.1f} lost", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
