"""The pod's containers really come up together on a PostgreSQL, in their order, and go in order; without a cluster."""

import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar import OpaNotFound, locate_opa
from tests.deploy.manifests import Pod, keys_of
from tests.deploy.stack import ROOT, StackMissing
from tests.servers.kustomize import KustomizeMissing, ensure_kustomize
from tests.servers.postgres import PostgresMissing, running_server
from tests.support import running

DATABASE = ("ztfm-database", "url")


def make_secrets(folder: Path, ztfm: str) -> None:
    """Do by processes what docs/deploying.md has people do: the keys of a first start, a certificate, two tokens."""
    first = folder / "first"
    with running(state=first):
        pass
    (folder / "secrets" / "keys").mkdir(parents=True)
    for key in keys_of(first):
        # As a Secret's files are: whoever is in the group reads them.
        shutil.copy(key, folder / "secrets" / "keys" / key.name)
        (folder / "secrets" / "keys" / key.name).chmod(0o440)
    subprocess.run([ztfm, "tls", "init", "--host", "127.0.0.1", "--state-dir", str(first)], check=True, timeout=60)
    (folder / "secrets" / "tls").mkdir()
    for theirs, ours in (("server.pem", "tls.crt"), ("server-key.pem", "tls.key"), ("authority.pem", "ca.crt")):
        shutil.copy(first / "tls" / theirs, folder / "secrets" / "tls" / ours)
    (folder / "secrets" / "tokens").mkdir()
    for name in ("metrics-token", "alerts-token"):
        (folder / "secrets" / "tokens" / name).write_text(secrets.token_urlsafe(32))
        (folder / "secrets" / "tokens" / name).chmod(0o440)


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        folder = Path(name)
        try:
            ensure_kustomize()
            found = Pod(folder, ROOT / "policies", locate_opa(os.environ).path.resolve())
            found.install()
            server = running_server()
            postgres = server.__enter__()
        except (OpaNotFound, StackMissing, KustomizeMissing, PostgresMissing) as missing:
            pytest.skip(str(missing).splitlines()[0])
        try:
            found.secrets = {DATABASE: postgres.url("postgres")}
            (folder / "state").mkdir(mode=0o770)
            make_secrets(folder, str(folder / "bin" / "ztfm"))
            for once, said in (("migrate", "it is of this version"), ("keys", ""), ("prepare", "is prepared")):
                done = found.run(once)
                assert done.returncode == 0, f"{once}: {done.stderr}"
                assert said in done.stdout
            for service in ("opa", "controlplane"):
                found.start(service)
                found.wait_healthy(service, 60.0)
            yield found
        finally:
            found.stop()
            server.__exit__(None, None, None)


def test_it_is_ready_by_its_probe_on_the_store_that_the_job_made(pod: Pod) -> None:
    status, body = pod.get("/readyz")
    assert status == 200
    assert set(json.loads(body)["checks"].values()) == {"ok"}
    assert pod.get("/livez")[0] == 200


def test_a_private_key_reaches_the_control_plane_as_its_users_alone(pod: Pod) -> None:
    for key in (pod.folder / "secrets" / "keys").iterdir():
        copy = pod.folder / "state" / key.name
        assert copy.read_bytes() == key.read_bytes(), "it was not made anew"
        assert copy.stat().st_mode & 0o777 == 0o600


def test_the_metrics_are_for_the_holder_of_the_secrets_token(pod: Pod) -> None:
    token = (pod.folder / "secrets" / "tokens" / "metrics-token").read_text()
    assert pod.get("/metrics")[0] == 401
    status, body = pod.get("/metrics", Authorization=f"Bearer {token}")
    assert status == 200
    assert b"ztfm_ready 1.0" in body


def test_a_device_is_given_a_decision_over_tls(pod: Pod) -> None:
    key = DeviceKey.generate()
    token = issued(pod)
    assert _post(pod, key, "/v1/devices", {"token": token, "roles": ["consumer"], "segment": "homes"})["id"]
    asked = {
        "action": "inference",
        "resource": {"type": "model", "id": "smart-home-intents"},
        "audience": "gateway-1",
        "context": {"inference": {"prompt_tokens": 8, "max_output_tokens": 16}},
    }
    assert _post(pod, key, "/v1/capabilities", asked)["token_type"] == "DPoP"


def test_the_control_plane_ends_in_time_while_opa_still_answers(pod: Pod) -> None:
    process = pod.started["controlplane"]
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 30
    assert pod.is_healthy("opa")


def issued(pod: Pod) -> str:
    """Issue a token beside the control plane, as ``kubectl exec`` does."""
    command = [str(pod.folder / "bin" / "ztfm"), "tokens", "issue", "--role", "consumer", "--segment", "homes"]
    environment = pod.environment("controlplane")
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


def _post(pod: Pod, key: DeviceKey, path: str, body: dict[str, object]) -> dict[str, object]:
    url = pod.url + path
    headers = {"Content-Type": "application/json", "DPoP": make_proof(key, method="POST", url=url, now=time.time())}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    verified = ssl.create_default_context(cafile=str(pod.folder / "secrets" / "tls" / "ca.crt"))
    with urllib.request.urlopen(request, timeout=10, context=verified) as response:
        found: dict[str, object] = json.load(response)
    return found
