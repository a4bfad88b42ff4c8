"""A control plane with OPA, its SDK and a collector: one request is one tree, and nobody waits for its traces."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from pydantic import ValidationError

from adapters.client import ControlPlane as Client
from adapters.client import SyncControlPlane
from benchmarks.household import DIGEST, MODEL, ROUND, populate
from controlplane.contracts.access import InferenceSize, ResourceProperties
from controlplane.contracts.access import Resource as Asked
from controlplane.contracts.capability import CapabilityContext
from controlplane.decisions.coalescing import Coalescer
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.settings import Settings
from controlplane.sidecar import locate_opa
from controlplane.telemetry.tracing import read_parent
from controlplane.tracesettings import TraceSettings
from controlplane.tracing import TracingMissing, build_tracing
from tests.controlplane.cli.processes import serve
from tests.controlplane.decisions.test_coalescing import Observed
from tests.servers.collector import Collector, Received, collecting
from tests.servers.ports import free_port
from tests.support import Caller, ControlPlane, running, wait_until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SIZE = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
STOP_SECONDS = 10.0


def settings_for(url: str, **changes: object) -> TraceSettings:
    stated = {"exporter_otlp_endpoint": url, "bsp_schedule_delay": 20.0, **changes}
    return TraceSettings.model_validate(stated)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def plane(collector: Collector) -> Iterator[ControlPlane]:
    with running(traces="otlp", otel=settings_for(collector.url)) as found:
        yield found


@pytest.fixture(scope="module")
def consumer(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture(scope="module")
def device() -> trace.Tracer:
    """What the program on the device traces itself with."""
    return TracerProvider(resource=Resource({}), shutdown_on_exit=False).get_tracer("device")


def ask(consumer: Caller, **headers: str) -> str:
    """Ask for a capability with further headers; return the id of the decision."""
    document = {
        "action": "inference",
        "resource": {"type": "model", "id": MODEL},
        "audience": "gateway-1",
        "context": SIZE.model_dump(mode="json", exclude_none=True),
    }
    reply = consumer.plane.call("POST", "/v1/capabilities", document, key=consumer.key, headers=headers)
    return str(reply.expect(201)["decision_id"])


def tree_of(collector: Collector, decision: str) -> tuple[Received, Received, Received]:
    """Return the spans of a request, its decision and the call to OPA, once they came."""

    def decided() -> list[Received]:
        return [span for span in collector.spans if span.attributes.get("ztfm.decision.id") == decision]

    wait_until(lambda: bool(decided()), 20, "the decision's span")
    (decide,) = decided()
    wait_until(lambda: any(span.id == decide.parent for span in collector.spans), 20, "the request's span")
    wait_until(lambda: any(decide.id in span.links for span in collector.named("ask policy")), 20, "the call's span")
    (request,) = [span for span in collector.spans if span.id == decide.parent]
    (call,) = [span for span in collector.named("ask policy") if decide.id in span.links]
    return request, decide, call


async def test_one_capability_is_a_tree_from_the_device_to_opa_with_the_decisions_id(
    collector: Collector, plane: ControlPlane, consumer: Caller, device: trace.Tracer
) -> None:
    async with Client(plane.url, consumer.key) as client:
        with device.start_as_current_span("what the device does") as own:
            granted = await client.capability("inference", Asked(type="model", id=MODEL), "gateway-1", SIZE)
    decision = granted.require().decision_id
    request, decide, call = await asyncio.to_thread(tree_of, collector, decision)
    context = own.get_span_context()
    assert (request.trace, request.parent) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert request.name == "POST /v1/capabilities"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/capabilities",
        "http.response.status_code": 201,
    }
    assert (decide.name, decide.trace, decide.parent) == ("decide inference", request.trace, request.id)
    assert decide.attributes == {
        "ztfm.decision.id": decision,
        "ztfm.decision.action": "inference",
        "ztfm.decision.outcome": "allow",
        "ztfm.policy.revision": plane.run(plane.services.readiness()).policy_revision,
    }
    assert (call.trace, call.parent, call.kind) == (decide.trace, decide.id, 3)
    assert call.attributes == {"ztfm.batch.size": 1}
    store = [span for span in collector.spans if span.trace == request.trace and "db.system.name" in span.attributes]
    assert {"record decisions"} <= {span.name for span in store}
    (commit,) = [span for span in collector.named("commit decisions") if span.trace == request.trace]
    assert (commit.parent, commit.links) == (decide.id, {decide.id})
    assert request.resource["service.name"] == "ztfm"


def test_the_blocking_sdk_sends_the_span_of_the_thread_that_asks(
    collector: Collector, plane: ControlPlane, consumer: Caller, device: trace.Tracer
) -> None:
    with SyncControlPlane(plane.url, consumer.key) as client, device.start_as_current_span("a thread") as own:
        granted = client.capability("inference", Asked(type="model", id=MODEL), "gateway-1", SIZE)
    request, _, _ = tree_of(collector, granted.require().decision_id)
    assert request.parent == f"{own.get_span_context().span_id:016x}"


@pytest.mark.parametrize(
    "header", ["garbage", PARENT.upper(), PARENT + "-01", PARENT.replace("4bf9", "zzzz"), "x" * 9000]
)
def test_a_malformed_traceparent_is_ignored(collector: Collector, consumer: Caller, header: str) -> None:
    request, _, _ = tree_of(collector, ask(consumer, traceparent=header))
    assert request.parent == ""
    assert request.trace != PARENT.split("-")[1]


def test_a_denial_and_a_fault_are_seen_and_name_nobody(collector: Collector, plane: ControlPlane) -> None:
    stranger, trainer = plane.stranger(), plane.enrol("trainer")
    assert stranger.get(f"/v1/devices/{trainer.id}", headers={"traceparent": PARENT}).status == 401
    assert (
        trainer.get(f"/v1/devices/{trainer.id}/behaviour?x=secret-query", headers={"traceparent": PARENT}).status < 500
    )
    wait_until(lambda: bool(collector.named("GET /v1/devices/{id}")), 20, "the refused request")
    assert collector.named("GET /v1/devices/{id}")[0].attributes["http.response.status_code"] == 401
    assert trainer.capability("model_access", digest="sha256:" + "0" * 64, round_id="none").status == 403
    wait_until(lambda: any(s.attributes.get("ztfm.decision.outcome") == "deny" for s in collector.spans), 20, "denial")
    sent = b"".join(collector.raw)
    for name in (stranger.key.thumbprint, trainer.key.thumbprint, trainer.id, "secret-query", MODEL, *plane.shown):
        assert name.encode() not in sent, name


def test_probes_and_what_runs_by_itself_leave_no_traces(collector: Collector, plane: ControlPlane) -> None:
    for path in ("/livez", "/readyz"):
        assert plane.call("GET", path).status == 200
    plane.metrics_text()
    time.sleep(0.5)
    roots = {span.name.split(" ")[0] for span in collector.spans if not span.parent}
    assert roots <= {"GET", "POST"}
    assert not [span for span in collector.spans if span.name.endswith(("/livez", "/readyz", "/metrics"))]


def test_a_search_is_seen_as_one_request_however_many_it_asks_of(collector: Collector, plane: ControlPlane) -> None:
    gateway = plane.enrol("gateway")
    for _ in range(3):
        plane.enrol("consumer")
    search = {
        "subject": {"type": "device"},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": MODEL},
    }
    gateway.post("/access/v1/search/subject", search).expect(200)
    wait_until(lambda: bool(collector.named("POST /access/v1/search/subject")), 20, "the search")
    request = collector.named("POST /access/v1/search/subject")[0]
    wait_until(lambda: any(request.id in s.links for s in collector.named("ask policy")), 20, "its questions")
    below = [span for span in collector.spans if span.trace == request.trace and span.name.startswith("decide")]
    assert [span.name for span in below] == ["decide admin"]


@pytest.fixture
def tracing_opa(collector: Collector) -> Iterator[OpaAddress]:
    """An OPA that records what it does where it is asked to, and sends it when it ends."""
    port = free_port()
    its = ["type=http", f"address={collector.url.removeprefix('http://')}", "sample_percentage=0"]
    command = [str(locate_opa(os.environ).path), "run", "--server", f"--addr=127.0.0.1:{port}", "--skip-version-check"]
    command += [part for one in its for part in ("--set", f"distributed_tracing.{one}")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, what="OPA")
        yield OpaAddress(token="none is asked for", url=f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


async def test_an_opa_that_traces_goes_on_with_the_tree_and_records_nothing_else(
    collector: Collector, tracing_opa: OpaAddress
) -> None:
    tracing = build_tracing(Settings(traces="otlp", otel=settings_for(collector.url, traces_sampler_arg=0.0)), "0")
    assert tracing is not None
    transport = OpaTransport(tracing_opa, tracing=tracing)
    engine = Coalescer(transport, Observed(), clock=time.monotonic, tracing=tracing)
    async with tracing:
        for header in (PARENT, PARENT[:-1] + "0", ""):
            with tracing.request("from elsewhere", read_parent([header]), {}):
                await engine.ask("inference", b"{}")
        await engine.close()
        await transport.close()

    def recorded() -> list[Received]:
        return [span for span in collector.spans if span.resource["service.name"] == "opa"]

    await asyncio.to_thread(wait_until, lambda: bool(recorded()), 20, "OPA's span")
    (call,) = [one for one in collector.named("ask policy") if one.trace == PARENT.split("-")[1] and one.failed]
    assert [(span.trace, span.parent) for span in recorded()] == [(call.trace, call.id)]


def timed(consumer: Caller, count: int) -> float:
    began = time.monotonic()
    for _ in range(count):
        ask(consumer)
    return time.monotonic() - began


@pytest.mark.parametrize("fault", ["nobody listens", "it stalls", "it refuses"])
def test_a_dead_collector_neither_breaks_nor_slows_requests_nor_the_end(fault: str) -> None:
    with collecting() as collector, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        collector.stalls, collector.status = fault == "it stalls", 503 if fault == "it refuses" else 200
        url = f"http://127.0.0.1:{closed.getsockname()[1]}" if fault == "nobody listens" else collector.url
        with running(traces="otlp", otel=settings_for(url, bsp_max_queue_size=50)) as plane:
            consumer = plane.enrol("consumer")
            assert timed(consumer, 40) < 40 * 0.25
            began = time.monotonic()
        assert time.monotonic() - began < STOP_SECONDS


_OFF = """
import json, sys
from adapters.client import SyncControlPlane
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from tests.support import MODEL, running
with running() as plane:
    consumer = plane.enrol("consumer")
    with SyncControlPlane(plane.url, consumer.key) as client:
        size = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
        granted = client.capability("inference", Resource(type="model", id=MODEL), "gateway-1", size)
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "opentelemetry")
print(json.dumps({"allowed": bool(granted.require()), "loaded": loaded}))
"""


def test_while_traces_are_off_nothing_of_opentelemetry_is_loaded() -> None:
    environment = {"OTEL_TRACES_SAMPLER": "one that we do not know", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = subprocess.run(
        [sys.executable, "-c", _OFF], capture_output=True, text=True, timeout=120, env={**_environment(), **environment}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"allowed": True, "loaded": []}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def test_workers_record_too_and_send_what_is_left_when_they_end(tmp_path: Path, collector: Collector) -> None:
    state = tmp_path / "s"
    state.mkdir(mode=0o700)
    (key,) = asyncio.run(populate(state, 1))
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "workers",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    with serve(state, "--workers", "2", ZTFM_TRACES="otlp", **told) as (process, line):
        model = Asked(type="model", id=MODEL, properties=ResourceProperties(digest=DIGEST))
        for _ in range(20):
            with SyncControlPlane(line["url"], key) as client:
                client.capability(
                    "model_access", model, "fl-server", CapabilityContext(purpose="training", round_id=ROUND)
                ).require()
        assert not [span for span in collector.spans if span.resource["service.name"] == "workers"]
        process.terminate()
        assert process.wait(30) == 0
    spans = [span for span in collector.spans if span.resource["service.name"] == "workers"]
    assert sum(span.name == "decide model_access" for span in spans) == 20
    assert len({span.resource["service.instance.id"] for span in spans}) == 2, "two in a million by chance"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no pair"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ],
)
def test_what_opentelemetrys_variables_say_has_to_fit_where_traces_are_wanted_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert Settings().otel is None
    with pytest.raises(ValidationError) as raised:
        Settings(traces="otlp")
    assert raised.value.errors()[0]["loc"] == ("otel", name.removeprefix("OTEL_").lower())


def test_opentelemetrys_variables_are_read_as_it_means_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZTFM_TRACES", "otlp")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "homes")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=a%20b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20secret")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "")
    found = Settings()
    assert found.otel is not None
    assert found.otel.endpoint == "http://localhost:4318/v1/traces"
    assert found.otel.resource == {"service.name": "homes", "deployment.environment.name": "a b"}
    assert found.otel.headers == {"authorization": "Basic secret"}
    assert found.otel.traces_sampler_arg == 1.0
    assert "Basic secret" not in repr(found)
    assert Settings(**found.model_dump(mode="json")) == found, "so it reaches workers"
    elsewhere = found.otel.model_copy(update={"exporter_otlp_traces_endpoint": "https://traces.example/x"})
    assert elsewhere.endpoint == "https://traces.example/x"


def test_without_its_packages_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "controlplane.telemetry.otlp", None)
    with pytest.raises(TracingMissing, match=r"pip install 'ztfm\[server,otel\]'"):
        build_tracing(Settings(traces="otlp"), "0")
    assert build_tracing(Settings(), "0") is None
