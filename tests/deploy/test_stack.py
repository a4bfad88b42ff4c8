"""The commands of docker-compose.yml really come up together, without Docker."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar import OpaNotFound, build_bundle, locate_opa
from tests.deploy.stack import ROOT, Stack, StackMissing


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        policies = Path(folder) / "policies"
        shutil.copytree(ROOT / "policies", policies)
        try:
            found = Stack(Path(folder), policies, locate_opa(os.environ).path.resolve())
            found.install()
        except (OpaNotFound, StackMissing) as missing:
            pytest.skip(str(missing).splitlines()[0])
        prepared = found.run("prepare")
        assert prepared.returncode == 0, prepared.stderr
        try:
            found.start("opa")
            found.start("controlplane")
            found.wait_healthy("controlplane")
            found.wait_healthy("opa")
            yield found
        finally:
            found.stop()


def test_it_is_ready_with_the_policies_of_the_folder(stack: Stack) -> None:
    status, body = stack.get("/readyz")
    state = json.loads(body)
    assert status == 200
    assert set(state["checks"].values()) == {"ok"}
    assert state["policy_revision"]


def test_a_device_enrols_and_is_given_a_decision(stack: Stack) -> None:
    key = DeviceKey.generate()
    enrolled = _post(stack, key, "/v1/devices", {"token": _token(stack), "roles": ["consumer"], "segment": "homes"})
    answer = _post(
        stack,
        key,
        "/v1/capabilities",
        {
            "action": "inference",
            "resource": {"type": "model", "id": "smart-home-intents"},
            "audience": "gateway-1",
            "context": {"inference": {"prompt_tokens": 8, "max_output_tokens": 16}},
        },
    )
    assert enrolled["roles"] == ["consumer"]
    assert answer["token_type"] == "DPoP"
    assert answer["policy_revision"] == json.loads(stack.get("/readyz")[1])["policy_revision"]


def test_the_metrics_are_for_the_holder_of_the_prepared_token(stack: Stack) -> None:
    assert stack.get("/metrics")[0] == 401
    token = (stack.folder / "run-metrics" / "metrics-token").read_text().strip()
    shown = urllib.request.Request(f"http://127.0.0.1:{stack.port}/metrics")
    shown.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(shown, timeout=5) as response:
        assert b"ztfm_ready" in response.read()


def test_its_files_are_private_and_opa_answers_nobody_without_the_token(stack: Stack) -> None:
    run = stack.folder / "run"
    assert (run / "opa-token").stat().st_mode & 0o777 == 0o600
    assert (run / "opa.sock").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (stack.folder / "run-bundles").iterdir()] == ["ztfm.tar.gz"]
    assert (stack.folder / "run-metrics" / "metrics-token").stat().st_mode & 0o777 == 0o640
    diagnostics = f"http://127.0.0.1:{stack.diagnostic_port}/v1/data"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(diagnostics, timeout=5)


def test_changed_policies_are_published_and_taken_over_and_preparing_again_keeps_the_token(stack: Stack) -> None:
    token = (stack.folder / "run" / "opa-token").read_text()
    before = json.loads(stack.get("/readyz")[1])["policy_revision"]
    batch = stack.policies / "ztfm" / "batch" / "batch.rego"
    batch.write_text(f"{batch.read_text()}\n# Changed.\n")
    done = _ztfm(stack, "policy", "publish", "--json")
    assert done.returncode == 0, done.stderr
    published = json.loads(done.stdout)["revision"]
    assert published != before
    deadline = time.monotonic() + 15
    while json.loads(stack.get("/readyz")[1])["policy_revision"] != published:
        assert time.monotonic() < deadline, "OPA did not take up the new policies"
        time.sleep(0.1)
    assert stack.run("prepare").returncode == 0
    assert (stack.folder / "run" / "opa-token").read_text() == token


def test_what_nobody_signed_is_not_taken_up_by_opa_itself(stack: Stack) -> None:
    before = json.loads(stack.get("/readyz")[1])["policy_revision"]
    served = stack.folder / "run-bundles" / "ztfm.tar.gz"
    good = served.read_bytes()
    build_bundle(locate_opa(os.environ), stack.policies, served)
    try:
        time.sleep(2.5)
        assert json.loads(stack.get("/readyz")[1])["policy_revision"] == before
    finally:
        served.write_bytes(good)


def test_policies_that_do_not_compile_are_refused_and_change_nothing(stack: Stack) -> None:
    before = json.loads(stack.get("/readyz")[1])["policy_revision"]
    broken = stack.policies / "ztfm" / "broken.rego"
    broken.write_text("package ztfm.broken\n\nallow if {\n")
    try:
        refused = _ztfm(stack, "policy", "publish")
    finally:
        broken.unlink()
    assert refused.returncode == 1
    assert "broken.rego" in refused.stderr
    time.sleep(1.5)
    state = json.loads(stack.get("/readyz")[1])
    assert state["ready"] is True
    assert state["policy_revision"] == before


def test_an_opa_that_was_killed_comes_back_over_the_socket_that_it_left(stack: Stack) -> None:
    stack.kill("opa")
    assert (stack.folder / "run" / "opa.sock").exists()
    time.sleep(0.5)  # readiness is remembered for a quarter of a second
    assert stack.get("/readyz")[0] == 503
    assert not stack.is_healthy("controlplane")
    stack.start("opa")
    stack.wait_healthy("opa")
    stack.wait_healthy("controlplane")


def _ztfm(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the control plane, as ``docker compose exec controlplane`` does."""
    command = [str(stack.folder / "bin" / "ztfm"), *arguments]
    environment = stack.environment("controlplane")
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _token(stack: Stack) -> str:
    return _ztfm(stack, "tokens", "issue", "--role", "consumer", "--segment", "homes").stdout.strip()


def _post(stack: Stack, key: DeviceKey, path: str, body: dict[str, object]) -> dict[str, object]:
    url = f"http://127.0.0.1:{stack.port}{path}"
    headers = {
        "Content-Type": "application/json",
        "DPoP": make_proof(key, method="POST", url=url, now=time.time()),
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        found: dict[str, object] = json.load(response)
    return found
