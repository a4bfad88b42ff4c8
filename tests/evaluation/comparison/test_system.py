"""The whole system as a defence: an author's own policies decide, over real control planes."""

import gc
import json
import warnings
from pathlib import Path

import pytest

from controlplane.sidecar.folders import product_folder
from evaluation.comparison.federation import federate
from evaluation.comparison.layers import BY_NAME, LIMITS, OWN, VARIANTS, Layers, merged, policies_of
from evaluation.comparison.system import guarding
from tests.evaluation.comparison.tiny import Pulling, cell

SHIPPED = json.loads((product_folder("policies") / LIMITS).read_text())


def test_a_variant_is_the_shipped_policies_with_other_limits(tmp_path: Path) -> None:
    written = policies_of(BY_NAME["ztfm_no_rollback"], tmp_path)
    limits = json.loads((written / LIMITS).read_text())
    assert limits["behaviour"]["rollback_rounds"] == 0
    assert limits == merged(SHIPPED, {"behaviour": {"rollback_rounds": 0}})
    assert (written / "ztfm" / "response" / "policy.rego").read_bytes() == (
        product_folder("policies") / "ztfm" / "response" / "policy.rego"
    ).read_bytes()


@pytest.mark.parametrize("layers", VARIANTS, ids=lambda layers: layers.name)
def test_a_variant_changes_only_limits_that_there_are(layers: Layers) -> None:
    changed = merged(SHIPPED, layers.limits)
    assert keys(changed) == keys(SHIPPED)
    assert (changed == SHIPPED) is (layers.name == "ztfm")


def _forget_connections() -> None:
    """Collect what members had open when they were closed, which on a busy machine is not always ended by then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def keys(value: object) -> object:
    return {name: keys(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def test_policies_of_ones_own_need_a_folder() -> None:
    with pytest.raises(ValueError, match="--policies FOLDER"), guarding(OWN, 4, 1.0):
        pass


def test_an_authors_policies_decide_whose_updates_count(tmp_path: Path) -> None:
    mine = policies_of(Layers("mine", "", "", {"evidence": {"examples_maximum": 17}}), tmp_path)
    one = cell("none", OWN)
    task = Pulling(one)
    found = federate(one, task, guarding(OWN, task.devices, task.server_rate, mine), "r")
    _forget_connections()
    # Devices 8 and 9 say that they have 18 and 19 examples.
    assert {seen.device for seen in found.sightings if seen.refused} == {8, 9}
    assert found.accuracy == pytest.approx(1.0 - 0.5**task.rounds, abs=0.01)
    assert not any(seen.quarantined for seen in found.sightings)
    assert found.defence_cpu_seconds > 0.5
    # A round is opened, and each device pulls, asks to submit, and is ruled on.
    assert found.decisions_a_round >= 1 + 3 * task.devices
    assert found.decision_ms is not None
    assert 0.0 < found.decision_ms < found.aggregation_ms
