"""The command that answers Envoy, as it is run: at a real control plane, and asked over real gRPC."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from adapters.gateway.__main__ import main
from adapters.gateway.envoy_messages import METHOD, SERVICE, CheckRequest, CheckResponse
from adapters.member import Member
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from tests.adapters.gateway.lab import EXAMPLES
from tests.adapters.gateway.test_command import KEEPS, ROOT, enrolled
from tests.servers.ports import free_port
from tests.support import MODEL, ControlPlane

PUBLIC_URL = "https://models.example"
GIVEN = ("--audience", "gateway-1", "--public-url", PUBLIC_URL, "--rules", str(EXAMPLES / "rules.json"), *KEEPS)


@contextmanager
def answering(folder: Path, *more: str) -> Iterator[dict[str, Any]]:
    """Run the command, and give what it says when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.gateway", "envoy", str(folder), "--json", *GIVEN, *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10.0)
        process.stdout.close()
    assert process.returncode == 0


def ask(address: str, member: Member, token: str) -> Any:
    """Ask as Envoy does about a request of a device that holds a capability."""
    stated = {"method": "POST", "url": f"{PUBLIC_URL}/v1/infer", "now": time.time(), "access_token": token}
    sent = {
        "authorization": f"DPoP {token}",
        "dpop": make_proof(member.key, **stated),
        "content-length": "3",
    }
    question = CheckRequest()
    http = question.attributes.request.http
    http.method, http.path = "POST", "/v1/infer"
    for name, value in sent.items():
        http.header_map.headers.add(key=name, raw_value=value.encode())
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}", CheckRequest.SerializeToString, CheckResponse.FromString)
        return call(question, timeout=10)


def test_a_device_is_let_through_until_it_is_set_apart_and_both_are_counted(
    plane: ControlPlane, tmp_path: Path
) -> None:
    served = f"127.0.0.1:{free_port()}"
    with (
        enrolled(plane, tmp_path / "gateway", "gateway"),
        enrolled(plane, tmp_path / "consumer", "consumer") as consumer,
        enrolled(plane, tmp_path / "operator", "operator") as operator,
        answering(tmp_path / "gateway", "--listen", "127.0.0.1:0", "--metrics", served) as ready,
    ):
        assert ready["event"] == "ready" and ready["current"] is True
        size = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
        granted = consumer.plane.capability("inference", Resource(type="model", id=MODEL), "gateway-1", size)
        token = granted.require().access_token
        allowed = ask(ready["listens"], consumer, token)
        assert allowed.status.code == 0
        assert {one.header.key: one.header.value for one in allowed.ok_response.headers}["ztfm-subject"] == consumer.id
        operator.plane.set_status(consumer.id, "quarantined", "it was stolen")
        deadline = time.monotonic() + 10.0
        while (refused := ask(ready["listens"], consumer, token)).status.code == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert (refused.status.code, refused.denied_response.status.code) == (16, 401)
        with urllib.request.urlopen(f"http://{served}/metrics", timeout=5) as answer:
            told = answer.read().decode()
        assert 'action="inference",audience="gateway-1",outcome="revoked"' in told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--metrics", "9465"], "no address"),
        (["--otlp", "localhost:4318"], "no URL"),
        (["--rules", "nowhere.json"], "nowhere.json"),
        ([], "enrol"),
    ],
)
def test_what_cannot_be_served_is_said(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["envoy", str(tmp_path), *GIVEN, *more]) == 1
    assert said in capsys.readouterr().err
