"""A real control plane for tests: real OPA, real policies, real SQLite, on a free loopback port.

It runs on a thread with a loop of its own, so tests may be plain functions or coroutines.
"""

import asyncio
import http.client
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from controlplane.api import SERVICES, Services
from controlplane.api.services import EdgeLimits
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.entry import open_listeners
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.keys import DeviceKey
from controlplane.parts import SIDECAR, STORE
from controlplane.releases.building import UnsignedBundle
from controlplane.releasing import build_base
from controlplane.settings import Settings
from controlplane.sidecar import Sidecar
from controlplane.sidecar.bundle import content_digest
from controlplane.storage import Store

Result = TypeVar("Result")

MODEL = "smart-home-intents"
DIGEST = "sha256:" + "d" * 64
SEGMENTS = {
    **dict.fromkeys(("trainer", "consumer"), "homes"),
    **dict.fromkeys(("aggregator", "gateway", "operator", "administrator", "router"), "core"),
}
UNLIMITED = EdgeLimits(rate=1e6, burst=1e6, stranger_rate=1e6, stranger_burst=1e6)


@dataclass(frozen=True)
class Reply:
    """An HTTP response, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The last part of a problem's type."""
        assert self.headers.get("Content-Type") == "application/problem+json", (self.status, self.body)
        return str(self.json["type"]).removeprefix("urn:ztfm:problem:")

    def expect(self, status: int) -> Any:
        """Return the JSON body of a response that has this status."""
        assert self.status == status, (self.status, self.body.decode(errors="replace")[:2000])
        return self.json if self.body else None


@dataclass(frozen=True)
class Caller:
    """Somebody who holds a key, enrolled or not."""

    plane: "ControlPlane"
    key: DeviceKey
    id: str = ""

    def get(self, path: str, **options: Any) -> Reply:
        return self.plane.call("GET", path, key=self.key, **options)

    def post(self, path: str, document: Any = None, **options: Any) -> Reply:
        return self.plane.call("POST", path, document, key=self.key, **options)

    def capability(
        self, action: str, *, digest: str | None = None, audience: str = "aggregator-1", **context: Any
    ) -> Reply:
        """Ask for a capability on the demo's model."""
        resource: dict[str, Any] = {"type": "model", "id": MODEL}
        if digest is not None:
            resource["properties"] = {"digest": digest}
        return self.post(
            "/v1/capabilities", {"action": action, "resource": resource, "audience": audience, "context": context}
        )

    def open_round(self, name: str, members: Sequence["Caller"], *, seconds: float = 600.0) -> Any:
        """Open a round of the demo's model."""
        document = {
            "id": name,
            "model": MODEL,
            "model_digest": DIGEST,
            "members": [member.id for member in members],
            "duration_seconds": seconds,
        }
        return self.post("/v1/rounds", document).expect(201)


@dataclass
class ControlPlane:
    """A running control plane, and how to call it."""

    app: web.Application
    url: str
    state: Path
    loop: asyncio.AbstractEventLoop
    clock: Callable[[], float]
    shown: list[str] = field(default_factory=list, repr=False)
    """Every token, proof and capability that was sent or handed out; logs must hold none of them."""
    listens: str = ""
    """Where it listens, when that is not `url`."""

    @property
    def services(self) -> Services:
        return self.app[SERVICES]

    @property
    def sidecar(self) -> Sidecar:
        return self.app[SIDECAR]

    @property
    def store(self) -> Store:
        return self.app[STORE]

    def run(self, work: Coroutine[Any, Any, Result], seconds: float = 30.0) -> Result:
        """Run a coroutine on the control plane's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def proof(self, key: DeviceKey, method: str, path: str, **changes: Any) -> str:
        """Return a DPoP proof for a request to ``path``."""
        stated = {"method": method, "url": self.url + path, "now": self.clock(), **changes}
        made = make_proof(key, **stated)
        self.shown.append(made)
        return made

    def call(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        key: DeviceKey | None = None,
        proof: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Reply:
        """Send one request on a connection of its own and return the response.

        With ``key`` it bears a fresh proof; ``proof`` sends that one instead; ``body`` sends bytes as they are.
        """
        sent = {"Content-Type": "application/json"} if document is not None or body is not None else {}
        if key is not None and proof is None:
            proof = self.proof(key, method, path.partition("?")[0])
        if proof is not None:
            sent["DPoP"] = proof
        sent.update(headers or {})
        payload = body if body is not None else (None if document is None else json.dumps(document).encode())
        host = urlsplit(self.listens or self.url)
        connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=timeout)
        try:
            connection.request(method, path, payload, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            reply = Reply(response.status, dict(response.headers.items()), response.read())
        finally:
            connection.close()
        if reply.body.startswith(b'{"access_token"'):
            self.shown.append(str(reply.json["access_token"]))
        return reply

    def raw(self, data: bytes, timeout: float = 10.0) -> bytes:
        """Send bytes as they are and return what comes back until the other side closes."""
        host = urlsplit(self.listens or self.url)
        with socket.create_connection((str(host.hostname), int(host.port or 0)), timeout=timeout) as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
        return received

    def token(self, roles: Sequence[str], segment: str, lifetime: float = 3600.0) -> str:
        """Issue an enrolment token."""
        issued = self.run(EnrolmentTokens(self.store.tokens, self.clock).issue(roles, segment, lifetime))[0]
        self.shown.append(issued)
        return issued

    def enrol(self, *roles: str, segment: str | None = None) -> Caller:
        """Enrol a new device through the API and return it."""
        key, place = DeviceKey.generate(), segment or SEGMENTS[roles[0]]
        document = {"token": self.token(roles, place), "roles": list(roles), "segment": place}
        return Caller(self, key, self.call("POST", "/v1/devices", document, key=key).expect(201)["id"])

    def stranger(self) -> Caller:
        """Return somebody with a key that nobody enrolled."""
        return Caller(self, DeviceKey.generate())

    def metrics_text(self) -> str:
        """Return the exposition, as Prometheus reads it."""
        shown = {"Authorization": f"Bearer {self.services.access.metrics_token}"}
        return self.call("GET", "/metrics", headers=shown).body.decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return a sample of the metrics; 0 when there is none."""
        return self.app_metrics().get((name, frozenset(labels.items())), 0.0)

    def app_metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every sample by name and labels, as the exposition shows it."""
        from prometheus_client.parser import text_string_to_metric_families

        families = text_string_to_metric_families(self.metrics_text())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def report(self, device: Caller, capability: str | None, **evidence: Any) -> dict[str, Any]:
        """Return a report of an unremarkable update, or of one with other evidence."""
        return {
            "subject": device.id,
            "capability": capability,
            "verification": {"verified": True},
            "evidence": honest_evidence(**evidence),
        }


def honest_evidence(**changes: Any) -> dict[str, Any]:
    """Return the evidence of an unremarkable update."""
    evidence = {
        "update_digest": "sha256:" + "e" * 64,
        "parameters": 1000,
        "nonfinite": 0,
        "shapes_match": True,
        "norm": 1.0,
        "norm_ratio": 1.0,
        "cosine": 0.8,
        "reference": "root",
        "sign_agreement": 0.7,
        "duplicates": 0,
        "examples": 64,
        "layer_shares": {"head.weight": 1.0},
        **changes,
    }
    UpdateEvidence.model_validate(evidence)
    return evidence


_BUILT: dict[str, UnsignedBundle] = {}


def build_once(folder: Path) -> UnsignedBundle:
    """Build a policy folder, once for all control planes of a session that start with the same content."""
    content = content_digest(folder)
    if content not in _BUILT:
        _BUILT[content] = build_base(folder)
    return _BUILT[content]


@contextmanager
def running(
    *,
    clock: Callable[[], float] = time.time,
    limits: EdgeLimits | None = UNLIMITED,
    state: Path | None = None,
    **settings: Any,
) -> Iterator[ControlPlane]:
    """Run a control plane with a state folder of its own, and leave nothing behind.

    The folder's path is short: a Unix socket's has at most about a hundred bytes.
    """
    folder = state or Path(tempfile.mkdtemp(prefix="ztfm-"))
    built, listeners = open_listeners(Settings(**{"state_dir": folder, "listen_port": 0, **settings}))
    build = build_once if built.engine == "opa" else None
    app = build_app(built, clock=clock, limits=limits, build=build)
    loop = asyncio.new_event_loop()
    ready: asyncio.Future[None] = loop.create_future()
    stop = asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        try:
            async with serving(app, *listeners):
                ready.set_result(None)
                started.set()
                await stop.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
                started.set()
                return
            raise

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work, name="control-plane")
    thread.start()
    try:
        started.wait(60)
        ready.result()
        listens = f"http://127.0.0.1:{built.listen_port}"
        yield ControlPlane(app, built.resolved_public_url, folder, loop, clock, listens=listens)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)


def wait_until(claim: Callable[[], bool], seconds: float = 60.0, what: str = "") -> None:
    """Return as soon as ``claim`` holds; fail when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what or claim}")
        time.sleep(0.02)
