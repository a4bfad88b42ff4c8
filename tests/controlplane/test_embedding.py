"""A control plane without OPA: the same API, the same policies, and it says so everywhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controlplane.bundles import BundleSigner, Trust
from controlplane.bundles.layout import WASM
from controlplane.contracts.policies import Release
from controlplane.embedding import build_without_opa
from controlplane.releases.building import BuildError, UnsignedBundle, build
from controlplane.releases.publishing import Publisher
from controlplane.sidecar import locate_opa
from controlplane.storage import open_store
from tests.controlplane.releases.samples import Counting
from tests.policies.support import POLICIES, ROOT
from tests.support import ControlPlane, running, wait_until

NO_OPA = "/nowhere/opa"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> UnsignedBundle:
    """The built-in policies under which nobody may ask a model."""
    folder = tmp_path_factory.mktemp("changed") / "policies"
    subprocess.run(["cp", "-r", str(POLICIES), str(folder)], check=True)
    required = folder / "ztfm" / "inference" / "required.rego"
    required.write_text(required.read_text().replace('"subject_active"', '"never_proven", "subject_active"'))
    assert "never_proven" in required.read_text()
    return build(locate_opa(os.environ), folder)


@pytest.fixture(scope="module")
def without() -> Iterator[ControlPlane]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPA_BIN", NO_OPA)
            plane = stack.enter_context(running(engine="embedded"))
        yield plane


def _ready(plane: ControlPlane) -> Any:
    return plane.call("GET", "/readyz").json


def _released(plane: ControlPlane, made: UnsignedBundle, files: dict[str, bytes]) -> Release:
    """Release a bundle as another process would: in the store, signed with this machine's key."""
    signer = BundleSigner.load_or_create(plane.state / "policy-signing.key")
    body = signer.sign(files, made.layer, made.revision)

    async def publish() -> Release:
        store = await open_store(f"sqlite+aiosqlite:///{plane.state / 'ztfm.db'}")
        trust = Trust.of_key(signer.public_key)
        try:
            publisher = Publisher(store.releases, trust, lambda _: None, plane.clock, Counting())
            return await publisher.publish(body, made.layer, "local:author")
        finally:
            await store.close()

    return plane.run(publish())


def test_it_is_ready_and_says_what_evaluates(without: ControlPlane) -> None:
    state = _ready(without)
    assert (state["ready"], state["engine"]) == (True, "embedded")
    assert state["checks"]["embedded"] == "ok"
    assert "opa" not in state["checks"]
    assert state["policy_revision"] == build_without_opa(POLICIES).revision
    assert without.metric("ztfm_policy_engine_info", engine="embedded") == 1.0
    assert without.metric("ztfm_policy_engine_info", engine="opa") == 0.0


def test_devices_are_enrolled_and_get_capabilities_or_reasons(without: ControlPlane) -> None:
    consumer = without.enrol("consumer")
    inference = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}
    assert consumer.capability("inference", **inference).expect(201)["access_token"]
    denied = consumer.capability("gradient_submission")
    assert denied.status == 403
    assert "role_granted" in [reason["code"] for reason in denied.json["reasons"]]


def test_a_release_is_taken_over_and_what_cannot_be_evaluated_changes_nothing(changed: UnsignedBundle) -> None:
    inference = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}
    with running(engine="embedded") as plane:
        consumer, first = plane.enrol("consumer"), _ready(plane)["policy_revision"]
        consumer.capability("inference", **inference).expect(201)

        for_opa_alone = {name: content for name, content in changed.files.items() if name != WASM}
        _released(plane, changed, for_opa_alone)
        wait_until(lambda: _ready(plane)["policies"][0]["refused"] == "cannot_be_checked")
        state = _ready(plane)
        assert (state["ready"], state["policy_revision"]) == (True, first)
        consumer.capability("inference", **inference).expect(201)

        _released(plane, changed, dict(changed.files))
        wait_until(lambda: bool(_ready(plane)["policy_revision"] == changed.revision))
        denied = consumer.capability("inference", **inference)
        assert [reason["code"] for reason in denied.json["reasons"]] == ["never_proven"]
        assert _ready(plane)["policies"][0]["refused"] is None


def test_a_layer_that_is_expected_and_not_published_denies_everything() -> None:
    with (
        pytest.raises(Exception, match="tenant"),
        running(engine="embedded", policy_layers="tenant", start_seconds=1.0),
    ):
        pass


def test_policies_of_ones_own_need_an_opa_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ztfm" / "batch").mkdir(parents=True)
    (tmp_path / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\ndecisions := {}\n")
    assert WASM in build_without_opa(tmp_path).files
    monkeypatch.setenv("OPA_BIN", NO_OPA)
    with pytest.raises(BuildError, match="ztfm policy publish"):
        build_without_opa(tmp_path)


def test_serving_without_opa_is_never_silent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "controlplane.cli", "serve", "--workers", "1", "--port", "0"]
    command += ["--state-dir", str(tmp_path / "state")]
    environment = {**os.environ, "OPA_BIN": NO_OPA}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "--engine embedded" in done.stderr
    assert NO_OPA in done.stderr


def test_a_start_says_in_the_log_what_evaluates() -> None:
    with capture_logs() as log, running(engine="embedded"):
        pass
    assert [entry["log_level"] for entry in log if entry["event"] == "engine_embedded"] == ["warning"]
