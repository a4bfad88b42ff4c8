import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from controlplane.contracts.evidence import UpdateEvidence
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from evaluation.comparison.defences.screening import Bounds, Screening
from tests.evaluation.comparison.defences.cohorts import ATTACKER, attacked, common, flat, honest, received, scaled

SOUND = UpdateEvidence(
    update_digest="sha256:" + "0" * 64,
    parameters=100,
    nonfinite=0,
    shapes_match=True,
    norm=1.0,
    norm_ratio=1.0,
    cosine=0.5,
    reference="root",
    sign_agreement=0.6,
    duplicates=0,
    examples=30,
    layer_shares={"head": 1.0},
    replay_cosine=0.2,
)
CASES: list[dict[str, object]] = [
    {},
    {"parameters": 0},
    {"parameters": 1_000_000_001},
    {"norm": 0.0},
    {"norm": 1_000_001.0},
    {"reference": "centre"},
    {"nonfinite": 1},
    {"shapes_match": False},
    {"norm_ratio": 0.0},
    {"norm_ratio": 3.0},
    {"norm_ratio": 3.01},
    {"cosine": -0.2},
    {"cosine": -0.21},
    {"duplicates": 1},
    {"seen_before": True},
    {"replay_cosine": None},
    {"replay_cosine": 0.9989},
    {"replay_cosine": 0.999},
    {"examples": 0},
    {"examples": 100_001},
]


def decided(cases: list[UpdateEvidence], tmp_path: Path) -> list[set[str]]:
    """The requirements that the shipped policy finds proven, of each."""
    asked = tmp_path / "cases.json"
    asked.write_text(json.dumps({"cases": [one.model_dump(mode="json", exclude_none=True) for one in cases]}))
    query = (
        "[found | some one in input.cases; "
        'found := data.ztfm.lib.evidence.proven with input as {"context": {"evidence": one}}]'
    )
    rules = product_folder("policies")
    files = [rules / "ztfm" / "lib" / "evidence" / "evidence.rego", rules / "data" / "limits" / "data.json"]
    command = [str(locate_opa(os.environ).path), "eval", "--input", str(asked), "--format", "json"]
    data = ["--data", str(files[0]), "--data", f"data.limits:{files[1]}"]
    result = subprocess.run([*command, *data, query], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [set(found) for found in json.loads(result.stdout)["result"][0]["expressions"][0]["value"]]


def test_the_bounds_say_of_each_edge_what_the_policy_says(tmp_path: Path) -> None:
    cases = [SOUND.model_copy(update=case) for case in CASES]
    every, *_ = proven = decided(cases, tmp_path)
    assert len(every) == 8
    broken = [set(Bounds.shipped().broken(case)) for case in cases]
    assert broken == [every - held for held in proven]
    assert len({frozenset(found) for found in broken}) == 9


def test_a_bound_is_what_the_policies_data_say() -> None:
    screening = Screening()
    gentle = attacked(scaled(common(), -0.5))
    assert ATTACKER in screening.aggregate(gentle).refused
    patient = Screening(bounds=replace(Bounds.shipped(), cosine_minimum=-1.0))
    assert ATTACKER not in patient.aggregate(gentle).refused


def test_copies_and_replays_are_refused_and_told() -> None:
    copies = {**honest(), 20: common(), 21: common()}
    found = Screening().aggregate(received(copies))
    assert found.refused == {20, 21}
    screening = Screening()
    screening.aggregate(received(honest(1), 1))
    again = screening.aggregate(received({**honest(2), 3: honest(1)[3]}, 2))
    assert again.refused == {3}
    assert again.named == {3: "replay"}


def test_what_is_long_is_clipped_to_a_multiple_of_the_median_norm() -> None:
    longer = received({**honest(), 0: scaled(honest()[0], 2.5)})
    found = Screening().aggregate(longer)
    median = torch.stack([flat(update).norm() for update in longer.updates.values()]).quantile(0.5)
    clipped = {**longer.updates, 0: scaled(longer.updates[0], float(1.5 * median / flat(longer.updates[0]).norm()))}
    wanted = torch.stack([flat(update) for update in clipped.values()]).mean(0)
    assert not found.refused
    assert found.step is not None
    assert torch.allclose(flat(found.step), wanted, atol=1e-4)


def test_suspicion_is_worst_for_whoever_breaks_a_bound_and_the_attack_is_named() -> None:
    found = Screening().aggregate(attacked(scaled(common(), -2.0)))
    assert found.named == {ATTACKER: "sign_flip"}
    assert found.suspected[ATTACKER] == max(found.suspected.values())


def test_limits_that_lack_a_bound_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "limits"
    folder.mkdir(parents=True)
    (folder / "data.json").write_text('{"evidence": {"norm_maximum": 1.0}}')
    with pytest.raises(TypeError, match="cosine_minimum"):
        Bounds.shipped(tmp_path)
