"""A site's veto, end to end: what the organisation publishes does not lift it, and what the site publishes does."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner
from controlplane.contracts.policies import PolicyLayer
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import open_store
from controlplane.storage.releases import NewRelease
from tests.support import Caller, ControlPlane, running, wait_until

SITE = """package site.batch

answers[id] := {"required": required, "proven": proven, "ttl_seconds": 20} if {
	some questions in input
	some id, facts in questions
	required := {"crew_present" | facts.action.name == "inference"}
	proven := {"crew_present" | %s}
}
"""
REASONS = '{"crew_present": {"message": "Nobody of the crew is at the pump.", "remedy": "Call the crew."}}'
EAGER = """package ztfm.batch

revision := data.system.bundles.ztfm.manifest.revision

decisions[id] := {"allow": true, "obligations": {}, "reasons": [], "rules": {"any"}, "ttl_seconds": 300} if {
	some questions in input
	some id, _ in questions
}
"""
SIZE = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}


def release(state: Path, folder: Path, layer: PolicyLayer) -> str:
    """Release what a folder holds, past all checks, and return its revision."""
    made = build(locate_opa(os.environ), folder, layer, wasm=False)
    signer = BundleSigner.load_or_create(state / "policy-signing.key")
    body = signer.sign(made.files, layer, made.revision)

    async def add() -> None:
        store = await open_store(f"sqlite+aiosqlite:///{state / 'ztfm.db'}")
        try:
            new = NewRelease(layer, made.revision, signer.key_id, "published", time.time(), "local:author")
            await store.releases.add(new, body)
        finally:
            await store.close()

    asyncio.run(add())
    return made.revision


def site(folder: Path, *, is_present: bool) -> Path:
    """Write a site that asks for its crew at every inference."""
    (folder / "site/reasons").mkdir(parents=True, exist_ok=True)
    (folder / "site/batch.rego").write_text(SITE % str(is_present).lower())
    (folder / "site/reasons/data.json").write_text(REASONS)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ControlPlane]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        state = Path(name)
        release(state, site(tmp_path / "site", is_present=False), "site")
        with running(state=state, policy_layers="site") as plane:
            yield plane


def asked(device: Caller) -> tuple[int, list[str], str]:
    answer = device.capability("inference", audience="gateway-1", **SIZE)
    reasons = [reason["code"] for reason in answer.json.get("reasons", ())]
    return answer.status, reasons, str(answer.json.get("policy_revision", ""))


def test_the_site_alone_lifts_its_veto(own: ControlPlane, tmp_path: Path) -> None:
    # Its enrolment and its reports go on: the site asks nothing about them.
    device = own.enrol("consumer")
    assert asked(device)[:2] == (403, ["site:crew_present"])
    assert own.metric("ztfm_decision_reasons_total", action="inference", reason="site:crew_present") == 1
    policies = tmp_path / "policies"
    shutil.copytree(product_folder("policies"), policies)
    (policies / "ztfm/batch/batch.rego").write_text(EAGER)
    eager = release(own.state, policies, "base")
    wait_until(lambda: str(own.call("GET", "/readyz").json["policy_revision"]).startswith(eager), 20, "the base")
    assert asked(device)[:2] == (403, ["site:crew_present"])
    present = release(own.state, site(tmp_path / "site", is_present=True), "site")
    wait_until(lambda: asked(device)[0] == 201, 20, "the site")
    status, _, revision = asked(device)
    assert (status, revision) == (201, f"{eager}+site:{present}")
