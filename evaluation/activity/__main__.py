"""Clean accuracy of the activity task by federated averaging: ``python -m evaluation.activity --seeds 0 1 2``."""

import argparse
import json
import sys
from pathlib import Path

import torch

from evaluation.activity.ground import ActivityGround
from evaluation.activity.task import load_activity
from evaluation.activity.training import FULL, QUICK
from evaluation.activity.wheel import CACHE, RecordingsError
from evaluation.comparison.attacks.registry import ATTACKS
from evaluation.comparison.fleet import Fleet
from evaluation.comparison.interfaces import Worth
from evaluation.federation.plain import averaged


def averaged_to_the_end(fleet: Fleet) -> Worth:
    """What the final model of federated averaging is worth, with nobody on guard."""
    state = fleet.initial()
    for turn in range(1, fleet.rounds + 1):
        sent = fleet.sent(state, turn, range(fleet.devices))
        sizes = [fleet.examples(device) for device in sent]
        state = averaged(state, list(sent.values()), sizes, fleet.server_rate)
    return fleet.worth(state)


def main() -> int:
    """Train one federation for each seed and skew, and say what it comes to."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.activity",
        description=__doc__,
        epilog="example: python -m evaluation.activity --seeds 0 --attack backdoor --natural --json",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--skews", type=float, nargs="*", default=[0.5, 0.1], help="Dirichlet parameters")
    parser.add_argument("--natural", action="store_true", help="each device one of the twenty watches, too")
    parser.add_argument("--attack", choices=ATTACKS, default="none", metavar="ATTACK", help="of a fifth of the devices")
    parser.add_argument("--quick", action="store_true", help="half as many rounds on fewer windows")
    parser.add_argument("--cache", type=Path, default=CACHE, help="keeps the recordings")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    skews = [None] if options.natural else []
    for skew in [*skews, *options.skews]:
        for seed in options.seeds:
            try:
                ground = ActivityGround(load_activity(seed, skew, options.cache), QUICK if options.quick else FULL)
            except RecordingsError as error:
                print(error, file=sys.stderr)
                return 1
            worth = averaged_to_the_end(ground.under(ATTACKS[options.attack], 0.2))
            _say(seed, skew, worth, is_json=options.json)
    return 0


def _say(seed: int, skew: float | None, worth: Worth, *, is_json: bool) -> None:
    found = {name: round(value, 4) for name, value in vars(worth).items()}
    if is_json:
        print(json.dumps({"seed": seed, "skew": skew, **found}), flush=True)
        return
    held = "natural" if skew is None else f"skew {skew:g}"
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items())
    print(f"{held}, seed {seed}: {told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
