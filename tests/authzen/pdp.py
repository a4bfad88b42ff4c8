"""A policy decision point as a process of its own, with the certification fixture's policy beside the product's."""

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from tests.controlplane.cli.processes import ZTFM, serve
from tests.servers.ports import free_port
from tests.support import Reply

FIXTURE = Path(__file__).parent / "policies"
PRODUCT = Path(__file__).resolve().parents[2] / "policies"
PUBLIC_URL = "https://pdp.example.test"
"""How callers reach it: a proxy in front of it speaks TLS, as a certified policy decision point must."""


def overlay(folder: Path) -> Path:
    """Return a policy folder that holds the product's policies and the fixture's."""
    target = folder / "policies"
    shutil.copytree(PRODUCT, target)
    shutil.copytree(FIXTURE, target, dirs_exist_ok=True)
    return target


@dataclass(frozen=True)
class Pdp:
    """A running policy decision point, spoken to as the holder of a key."""

    url: str
    state: Path
    key: DeviceKey

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request as it is, with a proof, and return the response."""
        proof = make_proof(self.key, method=method, url=PUBLIC_URL + path, now=time.time())
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
        try:
            connection.request(method, path, body, {"DPoP": proof, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers.items()), response.read())
        finally:
            connection.close()

    def post(self, path: str, document: Any, **headers: str) -> Reply:
        """Send a JSON document and return the response."""
        body = json.dumps(document).encode()
        return self.send("POST", path, body, {"Content-Type": "application/json", **headers})

    def enrolled(self, role: str, segment: str = "core") -> "Pdp":
        """Return the same policy decision point, spoken to by a new subject."""
        key = DeviceKey.generate()
        command = [*ZTFM, "tokens", "issue", "--role", role, "--segment", segment, "--json"]
        environment = {**os.environ, "ZTFM_STATE_DIR": str(self.state)}
        issued = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
        newcomer = Pdp(self.url, self.state, key)
        document = {"token": json.loads(issued.stdout)["tokens"][0], "roles": [role], "segment": segment}
        newcomer.post("/v1/devices", document).expect(201)
        return newcomer


@contextmanager
def serving_records(folder: Path) -> Iterator[Pdp]:
    """Run ``ztfm serve`` with the fixture and give out a gateway's view of it."""
    state = folder / "state"
    settings = {"ZTFM_POLICIES": str(overlay(folder)), "ZTFM_PUBLIC_URL": PUBLIC_URL}
    port = free_port()
    with serve(state, "--port", str(port), **settings) as (process, _):
        yield Pdp(f"http://127.0.0.1:{port}", state, DeviceKey.generate()).enrolled("gateway")
        process.terminate()
        process.wait(15)
