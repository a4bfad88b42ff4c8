"""``ztfm site``: what a site's owner sees and does, on the site's own machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.enrolment import make_key
from adapters.site import Asked, Site
from controlplane.bundles import BundleSigner
from controlplane.capabilities.statements import NOTHING, make_statement
from controlplane.cli.commands import app
from controlplane.contracts.site import SiteDecision
from tests.adapters.site.houses import OWNER, built, house_of, signed
from tests.controlplane.contracts.samples import SAMPLES
from tests.support import running

runner = CliRunner()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return signed(built(tmp_path_factory.mktemp("house"), house_of()))


@pytest.fixture
def device(tmp_path: Path, bundle: bytes) -> Path:
    """A device's folder beside a bundle and the owner's public key."""
    (tmp_path / "site.tar.gz").write_bytes(bundle)
    (tmp_path / "owner.pem").write_text(OWNER.public_pem)
    make_key(tmp_path / "device")
    return tmp_path / "device"


def ztfm(*arguments: object, exits: int = 0) -> str:
    result = runner.invoke(app, ["site", *map(str, arguments)])
    assert result.exit_code == exits, result.output + result.stderr
    return result.output if exits == 0 else result.stderr


def made(device: Path) -> dict[str, Any]:
    key, policy = device.parent / "owner.pem", device.parent / "site.tar.gz"
    found: dict[str, Any] = json.loads(ztfm("init", device, "--policy", policy, "--key", key, "--json"))
    return found


def decided(device: Path, model: str = "fall-detection") -> Site:
    site = Site.of(device, make_key(device))
    assert site is not None
    site.model_in(Asked(model, "aggregator-1", "sha256:" + "1" * 64, "round-1", "training"))
    return site


def test_a_device_becomes_part_of_a_site_and_can_decide(device: Path) -> None:
    revision = made(device)["revision"]
    found = json.loads(ztfm("check", device, "--json"))
    assert (found["revision"], found["decisions"], found["sets_limits"]) == (revision, 0, True)
    assert f"decides by revision {revision}" in ztfm("check", device)


def test_a_site_is_made_once_and_nothing_is_overwritten(device: Path) -> None:
    made(device)
    key, policy = device.parent / "owner.pem", device.parent / "site.tar.gz"
    assert "is there already" in ztfm("init", device, "--policy", policy, "--key", key, exits=2)


def test_a_policy_of_somebody_else_makes_no_site(device: Path) -> None:
    key, policy = device.parent / "other.pem", device.parent / "site.tar.gz"
    key.write_text(BundleSigner.generate().public_pem)
    assert "not signed by who is trusted" in ztfm("init", device, "--policy", policy, "--key", key, exits=1)
    assert not (device / "site").exists()


def test_a_broken_site_is_said_to_veto_everything(device: Path) -> None:
    made(device)
    (device / "site" / "policy.tar.gz").write_bytes(b"x")
    said = ztfm("check", device, exits=1)
    assert "not signed by who is trusted" in said
    assert "Build and sign it again" in said


def test_what_was_decided_is_shown_with_its_facts(device: Path) -> None:
    made(device)
    decided(device)
    decided(device, "smart-home-intents")
    assert "2 decisions" in ztfm("log", device)
    (one,) = json.loads(ztfm("log", device, "--limit", 1, "--json"))["decisions"]
    assert (one["outcome"], one["sequence"]) == ("allow", 2)
    assert one["facts"]["context"]["purpose"] == "training"
    found = json.loads(ztfm("check", device, "--json"))
    assert (found["decisions"], found["to_hand_in"]) == (2, 2)


def test_a_record_that_was_changed_is_found(device: Path) -> None:
    made(device)
    site = decided(device)
    site.chain.path.write_text(site.chain.path.read_text().replace("training", "serving"))
    assert "was changed" in ztfm("check", device, exits=1)


@pytest.mark.parametrize("command", ["check", "log", "hand-in"])
def test_a_device_without_a_site_is_told_how_to_get_one(device: Path, command: str) -> None:
    assert "ztfm site init" in ztfm(command, device, exits=2)


def test_a_decision_of_a_site_is_explained_by_what_it_told(tmp_path: Path) -> None:
    with running(state=tmp_path / "state") as plane:
        device = plane.enrol("trainer")
        told = {"sequence": 1, "previous": NOTHING, "previous_time": 0.0, "time": plane.clock(), "subject": device.id}
        decision = SiteDecision.model_validate({**dict(SAMPLES)[SiteDecision], **told})
        body = {"statements": [make_statement(device.key, decision)]}
        assert device.post("/v1/site/decisions", body).expect(200)["taken"] == 1
        (record,) = device.get(f"/v1/decisions?subject={device.id}&action=site").expect(200)["decisions"]
    command = ["policy", "explain", record["id"], "--state-dir", str(tmp_path / "state")]
    said = runner.invoke(app, command)
    assert said.exit_code == 0, said.output + said.stderr
    assert "MISSING  site:hours_open" in said.output
    assert "decision 1 of its chain, which follows the one before it" in said.output
    assert json.loads(runner.invoke(app, [*command, "--json"]).output)["id"] == record["id"]
