"""A site without contact decides by what was signed and what it can know, and denies for the rest."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.offline import OfflinePolicy
from controlplane.bundles import BundleRefused, BundleSigner, Trust
from controlplane.bundles.layout import MANIFEST, WASM
from controlplane.releases.compiled import read_built_in
from examples import offline_site
from tests.controlplane.bundles.rego import compiled
from tests.policies.support import POLICIES, ROOT

NOW = 1_763_000_000.5
SIGNER = BundleSigner.generate()
TRUST = Trust.of_key(SIGNER.public_key)
SITE = """package site.batch

answers[id] := {"required": {"open"}, "proven": proven} if {
	some id, facts in input.inference
	proven := {code | code := "open"; facts.context.inference.prompt_tokens < 30}
}
"""


@pytest.fixture(scope="module")
def bundle() -> bytes:
    made = read_built_in(POLICIES)
    return SIGNER.sign(made.files, "base", made.revision)


@pytest.fixture(scope="module")
def policy(bundle: bytes) -> Iterator[OfflinePolicy]:
    with OfflinePolicy.load(bundle, TRUST, max_age_seconds=600.0, clock=lambda: NOW) as found:
        yield found


@pytest.fixture
def facts() -> dict[str, Any]:
    path = POLICIES / "ztfm" / "inference" / "examples" / "allowed_trusted.json"
    found: dict[str, Any] = json.loads(path.read_text())["input"]
    del found["context"]["time"]
    return found


def _codes(policy: OfflinePolicy, facts: Any, package: str = "inference", known_at: float = NOW) -> list[str]:
    decision = policy.decide(package, facts, known_at=known_at)
    assert decision.allowed == (not decision.reasons)
    return [reason.code for reason in decision.reasons]


def test_what_is_known_and_allowed_goes_on(policy: OfflinePolicy, facts: dict[str, Any]) -> None:
    decision = policy.decide("inference", facts, known_at=NOW - 599)
    assert decision.allowed
    assert decision.obligations.detail == "full"
    assert decision.ttl_seconds > 0
    assert decision.policy_revision


def test_the_policies_deny_here_as_there(policy: OfflinePolicy, facts: dict[str, Any]) -> None:
    facts["subject"]["properties"]["status"] = "quarantined"
    assert "subject_active" in _codes(policy, facts)


@pytest.mark.parametrize("known_at", [NOW - 601, NOW + 6, float("nan"), float("inf"), -1.0])
def test_what_is_known_no_longer_or_not_yet_denies(
    policy: OfflinePolicy, facts: dict[str, Any], known_at: float
) -> None:
    assert _codes(policy, facts, known_at=known_at) == ["facts_too_old"]


@pytest.mark.parametrize(
    "package", ["admin", "enrolment", "model_access", "gradient_submission", "candidates", "", "x"]
)
def test_what_only_the_control_plane_knows_is_not_decided(
    policy: OfflinePolicy, facts: dict[str, Any], package: str
) -> None:
    assert _codes(policy, facts, package) == ["not_decidable_offline"]


def test_granted_exceptions_are_not_believed(policy: OfflinePolicy, facts: dict[str, Any]) -> None:
    facts["context"]["exceptions"] = {"exc-1": {}}
    assert _codes(policy, facts) == ["not_decidable_offline"]


def test_the_time_is_the_sites_own(policy: OfflinePolicy, facts: dict[str, Any]) -> None:
    facts["context"]["time"] = "yesterday"
    assert _codes(policy, facts) == []


@pytest.mark.parametrize("facts", [{}, None, [], {"context": None}, {"context": {}}, {"context": []}])
def test_facts_of_another_form_deny(policy: OfflinePolicy, facts: Any) -> None:
    assert _codes(policy, facts) == ["facts_malformed"]


def test_a_deleted_or_retyped_fact_never_allows_more(policy: OfflinePolicy, facts: dict[str, Any]) -> None:
    allowed = []
    for path in _paths(facts):
        for change in (None, True, 0, "", [], {}, "x", -1):
            changed = copy.deepcopy(facts)
            place = changed
            for step in path[:-1]:
                place = place[step]
            if change is None:
                del place[path[-1]]
            else:
                place[path[-1]] = change
            is_other = json.dumps(changed) != json.dumps(facts)
            if is_other and policy.decide("inference", changed, known_at=NOW).allowed:
                allowed.append((path, change))
    # A name, and fewer observations, less use and a shorter prompt than there were; one role of two is enough.
    free = {"id", "observations", "properties", "requests", "tokens", "prompt_tokens", 0}
    assert {path[-1] for path, _ in allowed} <= free


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def test_a_bundle_of_somebody_else_is_refused(bundle: bytes) -> None:
    with pytest.raises(BundleRefused) as caught:
        OfflinePolicy.load(bundle, Trust.of_key(BundleSigner.generate().public_key))
    assert caught.value.reason == "untrusted"


def test_a_sites_layer_narrows_here_too(bundle: bytes, facts: dict[str, Any]) -> None:
    manifest = {"revision": "site.1", "roots": ["site"], "rego_version": 1, "metadata": {"layer": "site"}}
    files = {MANIFEST: json.dumps(manifest).encode(), WASM: compiled(SITE, "site/batch/answers")}
    layers = {"site": SIGNER.sign(files, "site", "site.1")}
    with OfflinePolicy.load(bundle, TRUST, layers=layers, clock=lambda: NOW) as policy:  # type: ignore[arg-type]
        assert _codes(policy, facts) == []
        facts["context"]["inference"]["prompt_tokens"] = 30
        assert _codes(policy, facts) == ["site:open"]


def test_a_closed_policy_denies(bundle: bytes, facts: dict[str, Any]) -> None:
    policy = OfflinePolicy.load(bundle, TRUST, clock=lambda: NOW)
    policy.close()
    assert _codes(policy, facts) == ["policy_failed"]


def test_the_example_decides_as_its_page_says(bundle: bytes, facts: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "trust" / "base").mkdir(parents=True)
    (tmp_path / "trust" / "base" / "release.pem").write_text(SIGNER.public_pem)
    (tmp_path / "base.tar.gz").write_bytes(bundle)
    subject = facts["subject"]
    device = {"id": subject["id"], "properties": subject["properties"], "address": "192.168.1.20", "known_at": 1.0}
    (tmp_path / "device.json").write_text(json.dumps(device))
    command = [sys.executable, "-m", "examples.offline_site", "--bundle", str(tmp_path / "base.tar.gz")]
    command += ["--trust", str(tmp_path / "trust"), "--device", str(tmp_path / "device.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "facts_too_old" in done.stdout
    with OfflinePolicy.load(bundle, Trust.of_folder(tmp_path / "trust"), clock=lambda: NOW) as policy:
        assert offline_site.answered(policy, {**device, "known_at": NOW}, "smart-home-intents").allowed


def test_it_needs_nothing_of_the_server() -> None:
    heavy = (
        "{'orjson', 'sqlalchemy', 'structlog', 'typer', 'uvloop', 'torch', 'prometheus_client', 'pydantic_settings'}"
    )
    code = f"import sys, adapters.offline; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
