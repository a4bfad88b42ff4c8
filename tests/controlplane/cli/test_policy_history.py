"""``ztfm policy replay`` and ``explain`` on the store of a control plane that runs, with real OPAs."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from controlplane.cli.moments import moment
from tests.controlplane.test_layers import release, site
from tests.policies.support import POLICIES
from tests.support import ControlPlane, running

Quick = Callable[..., Result]
SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def denied(plane: ControlPlane) -> str:
    """A decision that denied, beside ten that allowed."""
    device = plane.enrol("consumer")
    for _ in range(10):
        device.capability("inference", inference=SIZE).expect(201)
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    return str(device.capability("inference", inference=SIZE).json["decision_id"])


@pytest.fixture(scope="module")
def stricter() -> Iterator[Path]:
    """Policies that ask for more trust than newcomers have."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        made = Path(folder) / "policies"
        shutil.copytree(POLICIES, made)
        path = made / "data" / "limits" / "data.json"
        limits = json.loads(path.read_text())
        limits["sensitivities"]["internal"]["trust_minimum"] = 0.65
        path.write_text(json.dumps(limits))
        yield made


def run(quick: Quick, plane: ControlPlane, *arguments: str) -> tuple[int, Any]:
    done = quick("policy", *arguments, "--state-dir", str(plane.state), "--json")
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr


def test_the_policies_that_serve_change_nothing(quick: Quick, plane: ControlPlane, denied: str) -> None:
    status, report = run(quick, plane, "replay", "--candidate", str(POLICIES))
    assert status == 0, report
    assert report["decided"] >= 12
    assert report["changed"] is False
    assert report["groups"] == []


def test_a_stricter_policy_denies_and_says_whom(quick: Quick, plane: ControlPlane, denied: str, stricter: Path) -> None:
    status, report = run(quick, plane, "replay", "--candidate", str(stricter), "--action", "inference")
    assert status == 1
    assert report["decided"] == 11
    assert report["changes"] == {"newly_denied": 10, "newly_allowed": 0, "other_reasons": 1, "other_terms": 0}
    group = report["groups"][0]
    assert (group["change"], group["action"], group["reason"], group["segment"]) == (
        "newly_denied",
        "inference",
        "trust_sufficient",
        "homes",
    )
    assert (group["count"], group["subjects"]) == (10, 1)
    assert report["subjects"]["newly_denied"]["most"][0]["count"] == 10
    assert all(sample["id"].startswith("dec-") for sample in group["samples"])
    assert report["candidate_revision"]


def test_people_get_a_table_and_a_way_on(quick: Quick, plane: ControlPlane, denied: str, stricter: Path) -> None:
    done = quick("policy", "replay", "--candidate", str(stricter), "--state-dir", str(plane.state))
    assert done.exit_code == 1
    for part in ("would newly be denied", "trust_sufficient", "homes", "ztfm policy explain"):
        assert part in done.stdout


def test_limit_and_time_bound_what_is_decided(quick: Quick, plane: ControlPlane, denied: str, stricter: Path) -> None:
    chosen = ("replay", "--candidate", str(stricter), "--action", "inference")
    assert run(quick, plane, *chosen, "--limit", "3")[1]["decided"] == 3
    assert run(quick, plane, *chosen, "--since", "1h")[1]["decided"] == 11
    assert run(quick, plane, *chosen, "--until", "1h")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday"),
        ("--until", "2026-13-01"),
        ("--limit", "0"),
        ("--subject", "dev-nobody"),
        ("--action", ""),
    ],
)
def test_what_cannot_be_said_is_an_error(
    quick: Quick, plane: ControlPlane, denied: str, arguments: tuple[str, ...]
) -> None:
    status, _ = run(quick, plane, "replay", "--candidate", str(POLICIES), *arguments)
    assert status == 2


def test_a_broken_candidate_is_an_error_with_its_place(
    quick: Quick, plane: ControlPlane, denied: str, broken: Path
) -> None:
    done = quick("policy", "replay", "--candidate", str(broken), "--state-dir", str(plane.state))
    assert done.exit_code == 2
    assert "broken.rego:" in done.stderr


def test_a_store_that_is_not_there_is_not_made(quick: Quick, state: Path) -> None:
    for arguments in (("replay", "--candidate", str(POLICIES)), ("explain", "dec-1")):
        done = quick("policy", *arguments)
        assert done.exit_code == 2
        assert "--state-dir" in done.stderr
    assert list(state.iterdir()) == []


def test_a_damaged_record_is_an_error_and_no_result(quick: Quick, plane: ControlPlane, tmp_path: Path) -> None:
    from tests.controlplane.cli.stores import store_with

    state = store_with(tmp_path, [("dec-1", time.time(), "inference", "dev-a", "allow", b"{}")])
    done = quick("policy", "replay", "--candidate", str(POLICIES), "--state-dir", str(state))
    assert done.exit_code == 2
    assert "dec-1 is damaged" in done.stderr


def test_a_denial_is_explained(quick: Quick, plane: ControlPlane, denied: str) -> None:
    status, found = run(quick, plane, "explain", denied)
    assert status == 0
    assert found["decision"]["id"] == denied
    assert found["decision"]["seconds"] > 0
    assert found["policies_are_those_that_decided"] is True
    missing = [one for one in found["requirements"] if not one["held"]]
    assert [one["code"] for one in missing] == ["subject_active"]
    assert missing[0]["conditions"][0]["values"] == {"input.subject.properties.status": "quarantined"}
    assert missing[0]["file"] == "ztfm/lib/subject/subject.rego"
    assert found["again"] == {"allow": False, "missing": ["subject_active"]}
    assert found["masked_and_read"] == []
    (change,) = found["nearest"]["alternatives"][0]
    assert change == {"path": "subject.properties.status", "was": "quarantined", "becomes": "active"}


def test_an_explanation_reads_well(quick: Quick, plane: ControlPlane, denied: str, stricter: Path) -> None:
    arguments = ("policy", "explain", denied, "--state-dir", str(plane.state), "--policies", str(stricter))
    done = quick(*arguments)
    assert done.exit_code == 0
    for part in (
        "MISSING  subject_active",
        "Remedy:",
        "the policies looked at are revision",
        "instead of",
        "they decide",
    ):
        assert part in done.stdout


def test_the_policies_that_decided_explain_by_default_where_the_folder_is_another(
    quick: Quick, plane: ControlPlane, denied: str, stricter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZTFM_POLICIES", str(stricter))
    status, found = run(quick, plane, "explain", denied)
    assert status == 0, found
    assert (found["policies_are_those_that_decided"], found["policies_from"]) == (True, "release")
    assert found["policies_revision"] == found["decision"]["policy_revision"]
    assert found["again"]["missing"] == ["subject_active"]
    status, found = run(quick, plane, "explain", denied, "--policies", str(stricter))
    assert (found["policies_are_those_that_decided"], found["policies_from"]) == (False, "folder")
    assert found["again"]["missing"] == ["subject_active", "trust_sufficient"]


@pytest.mark.parametrize("name", ["dec-" + "0" * 32, "x", "../dec", "\udcff"])
def test_what_was_never_decided_is_not_explained(quick: Quick, plane: ControlPlane, name: str) -> None:
    assert quick("policy", "explain", name, "--state-dir", str(plane.state)).exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 1_000_000.0 - 5400),
        ("7d", 1_000_000.0 - 7 * 86_400),
        ("99999d", 0.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-02T00:00Z", 86_400.0),
        ("1970-01-02T02:00+02:00", 86_400.0),
    ],
)
def test_a_moment_is_an_age_or_a_date(text: str, seconds: float) -> None:
    assert moment(text, 1_000_000.0) == seconds


def test_what_a_site_refused_is_no_change_of_the_bases_and_both_commands_say_so(quick: Quick, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        release(Path(name), site(tmp_path / "site", is_present=False), "site")
        with running(state=Path(name), policy_layers="site") as plane:
            device = plane.enrol("consumer")
            refused = device.capability("inference", inference=SIZE).expect(403)["decision_id"]
            asked = ("replay", "--candidate", str(POLICIES))
            status, report = run(quick, plane, *asked)
            assert (status, report["changed"]) == (0, False), report
            assert report["layers_held_to"] == {"site": report["decided"]}
            told = quick("policy", *asked, "--state-dir", str(plane.state)).stdout
            assert f"{report['decided']} of them the layer site decided too" in told
            found = run(quick, plane, "explain", refused)[1]
            assert (found["layers_not_asked"], found["again"]["allow"]) == (["site"], True)
            assert [one["code"] for one in found["requirements"] if not one["held"]] == ["site:crew_present"]
            told = quick("policy", "explain", refused, "--state-dir", str(plane.state)).stdout
            assert "! site decided too, and the base alone is asked what else it would decide" in told


def test_where_no_layer_decided_nothing_is_said_of_any(quick: Quick, plane: ControlPlane, denied: str) -> None:
    assert run(quick, plane, "explain", denied)[1]["layers_not_asked"] == []
    assert run(quick, plane, "replay", "--candidate", str(POLICIES))[1]["layers_held_to"] == {}
    assert "decided too" not in quick("policy", "explain", denied, "--state-dir", str(plane.state)).stdout
