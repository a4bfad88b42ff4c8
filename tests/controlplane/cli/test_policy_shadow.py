"""``ztfm policy shadow`` on the store of a control plane that runs, with real OPAs."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from controlplane.contracts.policies import digest_of
from controlplane.contracts.shadow import Shadow, ShadowCounts
from tests.policies.support import POLICIES
from tests.support import Caller, ControlPlane, running, wait_until

Quick = Callable[..., Result]
LONG = {"prompt_tokens": 1, "max_output_tokens": 1000}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with pytest.MonkeyPatch.context() as patch:
        for place in ("hosting", "shadowing"):
            patch.setattr(f"controlplane.{place}.EVERY_SECONDS", 0.1)
        with running() as plane:
            yield plane


@pytest.fixture(scope="module")
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture(scope="module")
def shorter() -> Iterator[Path]:
    """Policies by which newcomers get shorter answers, as their tests say."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        made = Path(folder) / "policies"
        shutil.copytree(POLICIES, made)
        path = made / "data" / "limits" / "data.json"
        limits = json.loads(path.read_text())
        limits["sensitivities"]["internal"]["output_tokens_maximum"]["watched"] = 250
        path.write_text(json.dumps(limits, indent=2))
        tests = made / "ztfm" / "inference" / "policy_test.rego"
        tests.write_text(tests.read_text().replace("256", "250"))
        yield made


def shadow(quick: Quick, plane: ControlPlane, *arguments: str) -> Result:
    return quick("policy", "shadow", *arguments, "--state-dir", str(plane.state))


def report(quick: Quick, plane: ControlPlane) -> tuple[int, Any]:
    done = shadow(quick, plane, "report", "--json")
    return done.exit_code, json.loads(done.stdout)


def compared(plane: ControlPlane, number: int) -> None:
    def is_so() -> bool:
        found = plane.run(plane.store.shadows.report())
        return found is not None and found.decided >= number

    wait_until(is_so, 20, "comparisons")


def test_without_a_candidate_there_is_nothing_to_say(quick: Quick, plane: ControlPlane) -> None:
    for command in ("report", "stop"):
        done = shadow(quick, plane, command)
        assert done.exit_code == 2
        assert "ztfm policy shadow start" in done.stderr


def test_a_folder_is_signed_and_watched_from_start_to_stop(
    quick: Quick, plane: ControlPlane, device: Caller, shorter: Path
) -> None:
    started = shadow(quick, plane, "start", "--policies", str(shorter), "--json")
    assert started.exit_code == 0, started.stderr
    assert json.loads(started.stdout)["started_by"].startswith("local:")
    wait_until(lambda: plane.services.decider._shadow is not None, 30, "the candidate to decide")
    done = shadow(quick, plane, "report")
    assert done.exit_code == 2
    assert "no decision was compared yet" in done.stderr
    minted = device.capability("inference", inference=LONG).expect(201)
    compared(plane, 1)
    status, found = report(quick, plane)
    (group,) = found["groups"]
    assert (status, found["disagreed"], group["change"], group["reason"]) == (1, 1, "other_terms", "none")
    assert group["samples"] == [minted["decision_id"]]
    explained = quick("policy", "explain", group["samples"][0], "--state-dir", str(plane.state))
    assert explained.exit_code == 0, explained.stderr
    stopped = shadow(quick, plane, "stop")
    assert stopped.exit_code == 0
    for part in ("in the shadow from", "0 agree, 1 do not", "1 would be allowed on other terms", "ztfm policy explain"):
        assert part in stopped.stdout
    wait_until(lambda: plane.services.decider._shadow is None, what="the end")
    watched = shadow(quick, plane, "report", "--watch", "--json")
    assert (watched.exit_code, json.loads(watched.stdout)["shadow"]["id"]) == (1, found["shadow"]["id"])


@pytest.mark.parametrize(
    ("counts", "status", "part"),
    [
        (ShadowCounts(agreed=2), 0, "2 agree, 0 do not"),
        (ShadowCounts(agreed=2, failed=1), 1, "on 1 more the candidate gives no decision"),
        (ShadowCounts(agreed=2, changes={"newly_allowed": 1}), 1, "1 would newly be allowed"),
        (ShadowCounts(dropped=3), 2, "3 more were not asked"),
    ],
)
def test_a_pipeline_can_stand_on_the_exit_status(
    quick: Quick, plane: ControlPlane, counts: ShadowCounts, status: int, part: str
) -> None:
    now = time.time()
    one = Shadow(
        id=f"shadow-{now}",
        revision="c0ffee.1",
        digest=digest_of(b"x"),
        started_at=now,
        started_by="dev",
        stopped_at=now,
    )
    plane.run(plane.store.shadows.start(one, b"x"))
    plane.run(plane.store.shadows.add(one.id, counts))
    done = shadow(quick, plane, "report")
    assert (done.exit_code, part in done.stdout) == (status, True)


def test_what_may_not_be_released_is_refused(quick: Quick, plane: ControlPlane, broken: Path, tmp_path: Path) -> None:
    (tmp_path / "unsigned.tar.gz").write_bytes(b"no bundle")
    refused = shadow(quick, plane, "start", str(tmp_path / "unsigned.tar.gz"))
    assert refused.exit_code == 1
    assert "refused (malformed)" in refused.stderr
    compiled = shadow(quick, plane, "start", "--policies", str(broken))
    assert compiled.exit_code == 1
    assert "broken.rego:" in compiled.stderr
    assert plane.run(plane.store.shadows.current()) is None


def test_what_cannot_be_done_says_what_to_do(quick: Quick, plane: ControlPlane, state: Path, tmp_path: Path) -> None:
    both = shadow(quick, plane, "start", str(tmp_path / "b"), "--policies", str(POLICIES))
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    missing = shadow(quick, plane, "start", str(tmp_path / "missing.tar.gz"))
    assert (missing.exit_code, "missing.tar.gz" in missing.stderr) == (2, True)
    nowhere = quick("policy", "shadow", "report", "--state-dir", str(state / "mistyped"))
    assert (nowhere.exit_code, "--state-dir" in nowhere.stderr) == (2, True)
