"""How soon a liar is singled out where sums of groups alone are seen, and how many honest members are set apart.

Each run is a federation of its own over many rounds: groups are drawn anew each round, the sums are screened as a guard
screens them, and the judge of the control plane makes of them what it makes of real ones, with the terms of
``policies/data``. Updates are made up: a common direction, and noise of each member's own, as long as it.

Example: python -m benchmarks.grouped --runs 40 --members 40 --group 8 --liars 1 --attack flip --json
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from adapters.screening import Manifest, Screener
from controlplane.behavior.conformal import Peer
from controlplane.behavior.judge import Judge, Judged, Known
from controlplane.capabilities.grouping import partition
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms

_POLICIES = Path(__file__).parents[1] / "policies/data"
_VALUES = 2000

ATTACKS: Mapping[str, float] = {"flip": -1.0, "boosted flip": -5.0, "boost": 10.0}
"""What a liar's update is multiplied with; ``noise`` and ``victim`` are made otherwise."""


@dataclass(frozen=True)
class Setting:
    """Of one federation.

    Attributes:
        members: in all.
        group: members of a group.
        liars: of the members.
        attack: of `ATTACKS`, or ``none``; ``victim`` lies only beside one member, to have that one set apart.
        rounds: at most.
    """

    members: int = 40
    group: int = 8
    liars: int = 1
    attack: str = "boosted flip"
    rounds: int = 60


@dataclass(frozen=True)
class Outcome:
    """What became of one federation.

    Attributes:
        found_after: rounds after which each liar was set apart; those who never were are left out.
        honest_set_apart: honest members who were.
        sums: that held a lie.
        sums_refused: of these, whose p-value keeps them out.
    """

    found_after: tuple[int, ...]
    honest_set_apart: int
    sums: int
    sums_refused: int


def terms() -> tuple[BehaviourTerms, float, float]:
    """Return the terms in force, the evidence from which a member is set apart, and the least p-value of admission."""
    found = json.loads((_POLICIES / "behaviour/data.json").read_text())
    limits = json.loads((_POLICIES / "limits/data.json").read_text())["behaviour"]
    return BehaviourTerms.model_validate(found), 1.0 / limits["alpha"], limits["p_minimum"]


def run(setting: Setting, seed: int) -> Outcome:
    """Return what becomes of one federation.

    Args:
        setting: of it.
        seed: of its noise and its groups.
    """
    kept, too_much, least = terms()
    judge, noise = Judge(kept), np.random.default_rng(seed)
    members = [f"member-{number}" for number in range(setting.members)]
    liars = set(members[: setting.liars if setting.attack != "none" else 0])
    common = noise.normal(size=_VALUES) / np.sqrt(_VALUES)
    manifest = Manifest.of({"weight": torch.zeros(40, _VALUES // 40)})
    screener = Screener(seed=seed)
    records: dict[str, BehaviourRecord] = {}
    apart: dict[str, int] = {}
    pool: list[list[Peer]] = []
    lied = refused = 0
    for number in range(1, setting.rounds + 1):
        present = [name for name in members if name not in apart]
        groups = partition(f"{seed}-{number}", present, setting.group)
        lying = {name for group in groups for name in group if _lies(name, group, liars, members[-1], setting.attack)}
        sums = {f"group-{place}": _mean(group, lying, setting, common, noise) for place, group in enumerate(groups)}
        evidence = screener.screen(sums, manifest, examples=dict.fromkeys(sums, setting.group), round_id=str(number))
        of = {name: f"group-{place}" for place, group in enumerate(groups) for name in group}
        known = {name: Known(records.get(name), "homes") for name in present}
        recent = [peer for some in pool[-kept.window :] for peer in some if peer.subject not in apart]
        judged = judge.sums({name: evidence[of[name]] for name in present}, of, known, recent, float(number))
        pool.append([Peer(name, one.score) for name, one in judged.items() if one.score is not None])
        for name, one in judged.items():
            records[name] = one.record
            if one.e_value >= too_much:
                apart[name] = number
        wrong = {of[name]: name for name in lying}
        lied += len(wrong)
        refused += sum(_is_refused(judged[name], least) for name in wrong.values())
    found = tuple(apart[name] for name in sorted(liars & apart.keys()))
    return Outcome(found, len(apart.keys() - liars), lied, refused)


def report(setting: Setting, runs: int) -> dict[str, object]:
    """Return the figures over many federations, as JSON.

    Args:
        setting: of each.
        runs: how many.
    """
    outcomes = [run(setting, seed) for seed in range(runs)]
    found = [rounds for one in outcomes for rounds in one.found_after]
    liars = setting.liars * runs if setting.attack != "none" else 0
    honest = setting.members * runs - liars
    sums = sum(one.sums for one in outcomes)
    return {
        **asdict(setting),
        "runs": runs,
        "liars_found_share": len(found) / liars if liars else None,
        "rounds_until_found_median": median(found) if found else None,
        "rounds_until_found_most": max(found) if found else None,
        "sums_with_a_lie_refused_share": sum(one.sums_refused for one in outcomes) / sums if sums else None,
        "honest_set_apart_share": sum(one.honest_set_apart for one in outcomes) / honest,
        "alpha": 1.0 / terms()[1],
    }


def _lies(name: str, group: tuple[str, ...], liars: set[str], victim: str, attack: str) -> bool:
    return name in liars and (attack != "victim" or victim in group)


def _mean(
    group: tuple[str, ...],
    lying: set[str],
    setting: Setting,
    common: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    noise: np.random.Generator,
) -> dict[str, Tensor]:
    updates = common + noise.normal(size=(len(group), _VALUES)) / np.sqrt(_VALUES)
    for place, name in enumerate(group):
        if name in lying and setting.attack == "noise":
            updates[place] = 5.0 * noise.normal(size=_VALUES) / np.sqrt(_VALUES)
        elif name in lying:
            updates[place] *= ATTACKS.get(setting.attack, -5.0)
    return {"weight": torch.from_numpy(updates.mean(axis=0)).float().reshape(40, _VALUES // 40)}


def _is_refused(judged: Judged, least: float) -> bool:
    return judged.admission_p_value is not None and judged.admission_p_value <= least


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--members", type=int, default=Setting.members)
    parser.add_argument("--group", type=int, default=Setting.group)
    parser.add_argument("--liars", type=int, default=Setting.liars)
    parser.add_argument("--attack", choices=["none", "noise", "victim", *ATTACKS], default=Setting.attack)
    parser.add_argument("--rounds", type=int, default=Setting.rounds)
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parser.parse_args()
    setting = Setting(asked.members, asked.group, asked.liars, asked.attack, asked.rounds)
    found = report(setting, asked.runs)
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
