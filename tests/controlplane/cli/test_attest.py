"""``ztfm attest``, ``ztfm devices attestation`` and what the doctor says of roots."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from controlplane.authoring.explaining import Explanation, Requirement
from controlplane.cli import attest_fetched
from controlplane.cli.commands import app
from controlplane.cli.doctor import examine
from controlplane.cli.policy_explained import told
from controlplane.settings import Settings
from controlplane.sidecar.folders import product_folder
from tests.controlplane.attestation.lab import RUNS, Lab, challenged, lab_policies, running_lab
from tests.controlplane.attestation.making_chains import Authority, pem
from tests.controlplane.attestation.making_intel import AT, FMSPC, Intel
from tests.support import ControlPlane

LAB = Lab()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with running_lab(LAB, tmp_path_factory.mktemp("lab")) as plane:
        yield plane


@pytest.fixture
def roots(served: ControlPlane, tmp_path: Path) -> Path:
    """Roots of the lab; while that control plane runs, the lab's verifier is installed."""
    assert served.url
    return LAB.roots(tmp_path / "roots")


@pytest.fixture
def run(roots: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, ["attest", *words, "--roots", str(roots)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps({"kind": "lab", "evidence": LAB.evidence(bytes(32)), "challenge": "chal-1"}))
    return path


def test_evidence_in_a_file_is_verified(run: Callable[..., Result], file: Path) -> None:
    found = json.loads(run("verify", str(file), "--json", "--at", "2026-03-01T12:00Z").stdout)
    assert found["verified"]
    assert found["claims"]["measurements"] == {"program": RUNS}
    assert f"measurements.program: {RUNS}" in run("verify", str(file)).stdout


def test_what_does_not_verify_says_why(run: Callable[..., Result], file: Path) -> None:
    file.write_text(json.dumps({"kind": "lab", "evidence": Lab().evidence(bytes(32))}))
    refused = run("verify", str(file), "--json")
    assert refused.exit_code == 1
    words = "no key of the lab signed it"
    assert json.loads(refused.stdout) == {"verified": False, "cause": "untrusted", "words": words}
    assert "untrusted" in run("verify", str(file)).stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "holds no evidence"),
        ("x", "holds no evidence"),
        ('{"kind": "lab", "kind": "sgx", "evidence": {"quote": "AAAA"}}', "holds no evidence"),
        ("[" * 10_000, "holds no evidence"),
        ('{"kind": "sgx", "evidence": {"quote": "AAAA"}}', "there are no roots for sgx"),
        ('{"kind": "lab", "evidence": {"quote": "AAAA"}}', "malformed"),
    ],
)
def test_a_file_that_is_none_says_what_it_should_be(
    run: Callable[..., Result], file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    refused = run("verify", str(file))
    assert refused.exit_code == 1
    assert said in refused.stderr
    file.unlink()
    assert "cannot be read" in run("verify", str(file)).stderr


def test_a_file_without_end_is_not_read_to_it(run: Callable[..., Result]) -> None:
    assert "has more than" in run("verify", "/dev/zero").stderr


def test_a_time_is_one(run: Callable[..., Result], file: Path) -> None:
    refused = run("verify", str(file), "--at", "noon")
    assert (refused.exit_code, "--at" in refused.stderr) == (2, True)


def test_reference_values_are_made_of_it_in_the_form_of_the_data(run: Callable[..., Result], file: Path) -> None:
    made = json.loads(run("reference", str(file), "--name", "gateways", "--this-platform", "--json").stdout)
    schema = json.loads((product_folder("policies") / "data/attestation/attestation.schema.json").read_text())
    data = {
        "challenge_seconds": 120,
        "result_seconds": {"hardware": 600, "software": 600},
        "anchors": {"lab": {"bench": "hardware"}},
        **made,
    }
    assert list(Draft202012Validator(schema).iter_errors(data)) == []
    values = made["references"]["gateways"]
    assert values["measurements"] == {"program": {RUNS: "as it was seen"}}
    assert (values["versions"], values["statuses"]) == ({"firmware": 8}, {"up_to_date": True})
    assert list(values["platforms"]) == ["00c0ffee"]


def test_roots_are_listed_with_what_policy_says_of_them(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "proves nothing" in " ".join(run("roots").stdout.split())
    monkeypatch.setenv("ZTFM_POLICIES", str(lab_policies(tmp_path)))
    found = json.loads(run("roots", "--json").stdout)
    [kind] = found["kinds"]
    assert found["ok"]
    assert (kind["kind"], kind["usable"], kind["files"]) == ("lab", True, ["bench.key"])
    assert kind["levels"] == {"bench": "hardware"}


def test_a_kind_that_cannot_be_verified_is_said(run: Callable[..., Result], roots: Path) -> None:
    (roots / "unheard").mkdir()
    found = run("roots", "--json")
    assert found.exit_code == 1
    [unheard] = [one for one in json.loads(found.stdout)["kinds"] if one["kind"] == "unheard"]
    assert "no installed package brings" in unheard["fault"]


def test_the_doctor_looks_at_them(roots: Path, tmp_path: Path) -> None:
    def said(**settings: Any) -> tuple[bool, bool, str, str]:
        [found] = [one for one in examine(Settings(state_dir=tmp_path, **settings)) if one.name == "attestation"]
        return found.ok, found.needed, found.found, found.remedy

    assert said()[:2] == (False, False)
    assert said(attestation_roots=roots) == (True, True, f"lab, by the roots of {roots}", "")
    (roots / "lab" / "bench.key").unlink()
    assert "there is no key in it" in said(attestation_roots=roots)[3]


def test_what_a_device_has_proven_is_shown(served: ControlPlane) -> None:
    device = served.enrol("trainer")

    def show(*words: str) -> Result:
        return CliRunner().invoke(app, ["devices", "attestation", *words, "--state-dir", str(served.state)])

    assert "has proven nothing" in show(device.id).stdout
    LAB.show(device, challenged(device)).expect(201)
    assert f"{device.id} has proven the level hardware" in show(device.id).stdout
    assert json.loads(show(device.id, "--json").stdout)["results"][0]["reference"] == "bench"
    LAB.show(device, challenged(device), debug=True)
    assert "evidence contradicted the reference values" in show(device.id).stdout
    assert show("dev-nobody").exit_code == 1


def test_what_is_fetched_lies_where_verifiers_look(
    run: Callable[..., Result], roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AMD cannot be asked here: this stands for its answer.
    amd, stranger = Authority("ARK-Milan"), Authority("ARK-Milan")
    good, path = amd.revoke([], ends=datetime(2026, 3, 1, 12, tzinfo=UTC)), roots / "snp" / "milan-vcek.crl"
    (roots / "snp").mkdir()
    (roots / "snp" / "amd.pem").write_bytes(pem(amd.certificate))
    monkeypatch.setattr(attest_fetched, "fetch_amd_list", lambda product, signer, get: good)
    assert "counts until 2026-03-01 12:00:00 UTC" in run("fetch", "amd", "--product", "Milan").stdout
    assert path.read_bytes() == good
    monkeypatch.setattr(attest_fetched, "fetch_amd_list", lambda product, signer, get: stranger.revoke([]))
    assert "signed by no root here" in run("fetch", "amd", "--product", "Milan").stderr
    assert path.read_bytes() == good
    (roots / "azure").mkdir()
    (roots / "azure" / "amd.pem").write_bytes(pem(stranger.certificate))
    assert json.loads(run("fetch", "amd", "--product", "Genoa", "--json").stdout)["files"] == [
        str(roots / "azure" / "genoa-vcek.crl")
    ], "beside the roots that vouch for it, and no others"
    (roots / "azure" / "amd.pem").write_bytes(pem(amd.certificate))
    monkeypatch.setattr(attest_fetched, "fetch_amd_list", lambda product, signer, get: good)
    assert run("fetch", "amd", "--product", "Milan").exit_code == 0
    assert (roots / "azure" / "milan-vcek.crl").read_bytes() == good
    refused = run("fetch", "intel", "--kind", "sgx", "--fmspc", "xyz", "--authority", "processor")
    assert refused.exit_code == 1
    assert "12 hexadecimal digits" in refused.stderr


def test_collateral_that_no_root_here_vouches_for_is_not_put_in_place(
    run: Callable[..., Result], roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intel, stranger = Intel(), Intel()
    answers = [intel.collateral(), stranger.collateral(), intel.collateral(tcbEvaluationDataNumber=16)]
    monkeypatch.setattr(attest_fetched, "fetch_intel", lambda kind, fmspc, authority, get: answers.pop(0))
    monkeypatch.setattr(attest_fetched, "time", SimpleNamespace(time=lambda: AT))
    asked = ("fetch", "intel", "--kind", "sgx", "--fmspc", FMSPC, "--authority", "processor")
    kept, path = answers[0], roots / "sgx" / "collateral" / f"sgx-{FMSPC}-processor.json"
    path.parent.mkdir(parents=True)
    (roots / "sgx" / "intel.pem").write_bytes(pem(intel.root.certificate))
    assert "counts until" in run(*asked).stdout
    for said in ("no root that is kept here", "of a newer edition"):
        refused = run(*asked)
        assert (refused.exit_code, said in refused.stderr) == (1, True)
        assert path.read_bytes() == kept


def test_a_denial_is_shown_with_its_claims(served: ControlPlane) -> None:
    device = served.enrol("trainer")
    denied = LAB.show(device, challenged(device), measurements={"program": "cd" * 32}).expect(403)["decision_id"]
    sentence = f"measurements.program is {'cd' * 32}, wanted: {RUNS}."
    shown = CliRunner().invoke(app, ["decisions", "show", denied, "--state-dir", str(served.state)])
    assert sentence in shown.stdout
    [reason] = served.run(served.services.transparency.log.get(denied)).reasons  # type: ignore[union-attr]
    why = Requirement(reason.code, held=False, differences=[one.sentence for one in reason.differences])
    assert any(sentence in line for line in told(Explanation("ztfm.attestation", False, 0.0, {}, [why]), None))
