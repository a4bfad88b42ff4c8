"""What the command line takes for a model's plan is what policy decides by."""

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.confidentiality.privacy.planning import plans_of
from controlplane.contracts.privacy import PrivacyPlans
from tests.policies.support import POLICIES, ROOT, Run

SHIPPED = POLICIES / "data" / "privacy" / "data.json"
EXAMPLE = ROOT / "examples" / "privacy" / "data.json"


def decided(run_opa: Run, folder: Path, document: Any) -> PrivacyPlans:
    """Return the plans that Rego makes of a document."""
    path = folder / "data.json"
    path.write_text(json.dumps({"data": {"privacy": document}}))
    asked = folder / "input.json"
    asked.write_text('{"modes": ["local", "central"]}')
    rules = str(POLICIES / "ztfm" / "privacy" / "plans.rego")
    done = run_opa(
        "eval",
        "--format",
        "raw",
        "--data",
        rules,
        "--data",
        str(path),
        "--input",
        str(asked),
        "data.ztfm.privacy.terms",
    )
    assert done.returncode == 0, done.stderr
    return PrivacyPlans.model_validate_json(done.stdout)


@pytest.mark.parametrize("path", [SHIPPED, EXAMPLE], ids=["shipped", "example"])
def test_a_plan_is_the_same_for_policy_and_for_whoever_reckons_with_it(
    run_opa: Run, tmp_path: Path, path: Path
) -> None:
    document = json.loads(path.read_text())
    found = plans_of(document)
    assert decided(run_opa, tmp_path, document).plans == found
    assert found.keys() == document["models"].keys()


def test_a_plan_that_is_not_whole_is_none_for_both(run_opa: Run, tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_text())
    del document["data_sets"]["homes"]["delta"]
    document["models"]["third"] = {"data_set": "falls"}
    found = plans_of(document)
    assert decided(run_opa, tmp_path, document).plans == found
    assert found.keys() == {"fall-detection"}
    assert plans_of({"models": {"a": None, "b": {"data_set": []}}}) == {}


def test_a_data_set_that_both_modes_draw_on_has_no_plan_for_both(run_opa: Run, tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_text())
    document["models"]["third"] = {**document["models"]["smart-home-intents"], "data_set": "falls"}
    found = plans_of(document)
    assert decided(run_opa, tmp_path, document).plans == found
    assert found.keys() == {"smart-home-intents"}
