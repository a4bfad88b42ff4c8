"""NVFLARE's simulator, with an attacker, a device that may not train, and a home that lets no update out."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.site.houses import built, furnish, house_of, signed, vetoes
from tests.backends.deciding import ALLOWED, SIGN_FLIPPED, decided
from tests.backends.environments import ROOT, make
from tests.support import ControlPlane

pytestmark = pytest.mark.backends


@pytest.mark.timeout(300)
def test_a_simulation_keeps_out_who_attacks_and_who_may_not_train(
    own_plane: ControlPlane, enrol: Callable[..., str], tmp_path: Path
) -> None:
    names = {site: enrol(site, role) for site, role in (("site-1", "trainer"), ("site-2", "trainer"))}
    consumer = enrol("site-3", role="consumer")
    home = enrol("site-4")
    furnish(tmp_path / "site-4", signed(built(tmp_path / "house", house_of())))
    enrol("aggregator", role="aggregator", segment="core")
    program = [str(make("nvflare")), "-m", "tests.backends.nvflare.simulated", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    shown = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, shown
    ended = json.loads((tmp_path / "ended.json").read_text())
    rounds = ended["rounds"]
    assert [one["accepted"] for one in rounds] == [1, 1], shown
    assert [(one["pulled"], one["submitted"]) for one in rounds] == [(3, 2)] * 2, shown
    for one in rounds:
        drops = {subject: (point, cause) for point, cause, subject in one["drops"]}
        assert drops[consumer] == ("pull", "declined")
        assert drops[home] == ("gate", "declined")
        assert drops[names["site-2"]] == ("gate", "update_aligned")
        assert names["site-1"] not in drops
    assert (ended["replayed"], ended["faults"]) == (2, [])
    assert decided(own_plane, names["site-1"]) == [ALLOWED] * 2
    assert decided(own_plane, names["site-2"]) == [SIGN_FLIPPED] * 2
    assert decided(own_plane, home) == [ALLOWED[:1]] * 2, "nobody is asked for what the home does not let out"
    assert [action for action, _ in vetoes(own_plane, home)] == ["site:update_out"] * 2
    refused = decided(own_plane, consumer)
    assert [[(action, outcome) for action, _, outcome, _ in one] for one in refused] == [[("model_access", "deny")]] * 2
