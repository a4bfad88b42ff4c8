"""Spans are recorded with OpenTelemetry and reach a real collector, with nothing in them that is not meant to be."""

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from controlplane.audit import AuditLog
from controlplane.decisions.coalescing import Coalescer, CoalescingLimits
from controlplane.decisions.engine import BatchAnswer
from controlplane.decisions.opa import OpaTransport
from controlplane.storage import open_store
from controlplane.telemetry.otlp import OtlpOptions, OtlpTracing, SamplerName
from controlplane.telemetry.tracing import Parent, read_parent
from tests.controlplane.decisions.test_coalescing import Engine, Observed
from tests.controlplane.decisions.test_opa import GOOD, server
from tests.servers.collector import Collector, collecting

PARENT = Parent(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, 1)
UNSAMPLED = Parent(PARENT.trace_id, PARENT.span_id, 0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def options(url: str = "http://127.0.0.1:9", **changes: Any) -> OtlpOptions:
    stated: dict[str, Any] = {
        "endpoint": f"{url}/v1/traces",
        "headers": {"x-key": "a-key-of-ours"},
        "certificate": None,
        "timeout_seconds": 5.0,
        "resource": {"service.name": "ztfm", "deployment.environment.name": "test"},
        "sampler": "parentbased_traceidratio",
        "ratio": 1.0,
        "asked_a_second": 100,
        "queue": 100_000,
        "delay_seconds": 30.0,
        **changes,
    }
    return OtlpOptions(**stated)


def kept(**changes: Any) -> tuple[OtlpTracing, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return OtlpTracing(options(**changes), exporter), exporter


async def test_what_is_recorded_reaches_the_collector_as_a_tree(collector: Collector) -> None:
    async with OtlpTracing(options(collector.url)) as tracing:
        with tracing.request("POST /v1", PARENT, {"http.request.method": "POST"}) as request:
            with tracing.span("inner", {"a": 1}) as inner:
                inner.note({"b": "two"})
            request.note({"http.response.status_code": 201})
        with tracing.span("nobody asked"):
            pass
    assert {span.name for span in collector.spans} == {"POST /v1", "inner"}
    outer, within = collector.named("POST /v1")[0], collector.named("inner")[0]
    assert (outer.trace, outer.parent) == (f"{PARENT.trace_id:032x}", f"{PARENT.span_id:016x}")
    assert (within.trace, within.parent) == (outer.trace, outer.id)
    assert (outer.kind, within.kind) == (2, 1)
    assert outer.attributes == {"http.request.method": "POST", "http.response.status_code": 201}
    assert within.attributes == {"a": 1, "b": "two"}
    assert outer.resource == {"service.name": "ztfm", "deployment.environment.name": "test"}
    assert collector.headers[0]["x-key"] == "a-key-of-ours"


async def test_a_fault_is_named_by_its_kind_and_its_message_stays_here(collector: Collector) -> None:
    async with OtlpTracing(options(collector.url)) as tracing:
        with pytest.raises(ValueError, match="secret"), tracing.request("r", None, {}), tracing.span("s"):
            raise ValueError("a secret message")
    assert all(span.failed and span.attributes == {"error.type": "ValueError"} for span in collector.spans)
    assert len(collector.spans) == 2
    assert not any(b"secret" in body for body in collector.raw)


async def test_a_batch_belongs_to_the_first_and_is_linked_with_all(collector: Collector) -> None:
    async with OtlpTracing(options(collector.url)) as tracing:
        asked = []
        with tracing.request("a", None, {}):
            asked += [tracing.current(), tracing.current()]
            with tracing.request("b", None, {}):
                asked.append(tracing.current())
                with tracing.carrying("batch", [None, *asked]) as batch:
                    assert batch.is_recorded
    first, second, carried = (collector.named(name)[0] for name in ("a", "b", "batch"))
    assert first.trace != second.trace
    assert (carried.trace, carried.parent, carried.kind) == (first.trace, first.id, 3)
    assert carried.links == {first.id, second.id}
    assert (first.links, second.links) == (frozenset(), {carried.id})


async def test_the_span_within_which_a_call_is_made_is_told_on() -> None:
    tracing, exporter = kept()
    async with tracing:
        assert tracing.outgoing() == {}
        with tracing.request("r", Parent(PARENT.trace_id, PARENT.span_id, 1, (("v", "1"),)), {}):
            sent = tracing.outgoing()
    found = read_parent([sent["traceparent"]], [sent["tracestate"]])
    context = exporter.get_finished_spans()[0].context
    assert found is not None
    assert (found.trace_id, found.span_id, found.is_sampled) == (PARENT.trace_id, context.span_id, True)
    assert found.state == (("v", "1"),)


async def test_what_the_caller_does_not_record_is_not_recorded_and_whom_we_ask_hears_so() -> None:
    tracing, exporter = kept()
    async with tracing:
        with tracing.request("r", UNSAMPLED, {}) as request, tracing.span("inner") as inner:
            assert not request.is_recorded
            assert not inner.is_recorded
            asked = tracing.current()
        with tracing.carrying("batch", [asked]) as batch:
            assert not batch.is_recorded
            found = read_parent([tracing.outgoing()["traceparent"]])
    assert found is not None
    assert (found.trace_id, found.is_sampled) == (PARENT.trace_id, False)
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("sampler", "alone", "sampled", "unsampled"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", False, True, False),
        ("traceidratio", False, False, False),
    ],
)
async def test_samplers_do_as_their_names_say(
    sampler: SamplerName, alone: bool, sampled: bool, unsampled: bool
) -> None:
    tracing, _ = kept(sampler=sampler, ratio=0.0)
    async with tracing:
        for parent, wanted in ((None, alone), (PARENT, sampled), (UNSAMPLED, unsampled)):
            with tracing.request("r", parent, {}) as request:
                assert request.is_recorded == wanted


async def test_a_ratio_is_about_kept() -> None:
    tracing, exporter = kept(ratio=0.1)
    async with tracing:
        for _ in range(2000):
            with tracing.request("r", None, {}):
                pass
    assert 100 < len(exporter.get_finished_spans()) < 320, "one in many millions lies beyond"


async def test_callers_have_no_more_recorded_than_they_may_ask_for() -> None:
    now = [0.0]
    exporter = InMemorySpanExporter()
    tracing = OtlpTracing(options(ratio=0.0, asked_a_second=3), exporter, clock=lambda: now[0])
    async with tracing:
        for _ in range(10):
            with tracing.request("r", PARENT, {}):
                pass
        now[0] = 1.0
        with tracing.request("r", PARENT, {}):
            pass
    assert len(exporter.get_finished_spans()) == 4


async def test_questions_of_several_requests_travel_in_a_span_that_is_linked_to_each() -> None:
    tracing, exporter = kept()
    engine = Coalescer(Engine(), Observed(), clock=time.monotonic, limits=CoalescingLimits(), tracing=tracing)

    async def ask(number: int) -> None:
        with tracing.request(f"request {number}", None, {}):
            await engine.ask("inference", b"{}")

    async with tracing:
        await asyncio.gather(*(ask(number) for number in range(8)), engine.ask("log", b"{}"))
        await engine.ask("log", b"{}")
    spans = exporter.get_finished_spans()
    (batch,) = [span for span in spans if span.name == "ask policy"]
    requests = [span for span in spans if span.name != "ask policy"]
    assert len(requests) == 8
    assert {link.context.span_id for link in batch.links} == {span.context.span_id for span in requests}
    assert batch.attributes == {"ztfm.batch.size": 9}
    (first,) = [span for span in requests if span.name == "request 0"]
    assert batch.parent is not None and batch.parent.span_id == first.context.span_id
    linked_back = {link.context.span_id for span in requests for link in span.links}
    assert linked_back == {batch.context.span_id} and not first.links


async def test_opa_is_told_within_which_span_it_is_asked() -> None:
    seen: list[str] = []

    async def respond(request: web.Request) -> web.Response:
        seen.append(request.headers.get("traceparent", ""))
        return web.json_response(GOOD)

    tracing, exporter = kept()
    async with tracing, server(respond) as address:
        transport = OpaTransport(address, tracing=tracing)
        engine = Coalescer(transport, Observed(), clock=time.monotonic, tracing=tracing)
        await engine.ask("log", b"{}")
        with tracing.request("recorded", PARENT, {}):
            await engine.ask("inference", b"{}")
        with tracing.request("not recorded", UNSAMPLED, {}):
            await engine.ask("inference", b"{}")
        await engine.close()
        await transport.close()
    (call,) = [span for span in exporter.get_finished_spans() if span.name == "ask policy"]
    alone, recorded, unrecorded = (read_parent([header]) for header in seen)
    assert alone is None
    assert recorded == Parent(PARENT.trace_id, call.context.span_id, 1)
    assert unrecorded is not None
    assert (unrecorded.trace_id, unrecorded.is_sampled) == (PARENT.trace_id, False)


async def test_a_call_that_fails_says_how(collector: Collector) -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    async with OtlpTracing(options(collector.url)) as tracing, server(respond) as address:
        transport = OpaTransport(address, tracing=tracing)
        engine = Coalescer(transport, Observed(), clock=time.monotonic, tracing=tracing)
        with tracing.request("r", None, {}):
            await engine.ask("inference", b"{}")
        await engine.close()
        await transport.close()
    (call,) = collector.named("ask policy")
    assert call.failed
    assert call.attributes == {"ztfm.batch.size": 1, "error.type": "engine_error"}


async def test_lines_of_calls_are_not_those_of_whoever_asked_first(logged: io.StringIO) -> None:
    tracing, _ = kept()

    class Faulty(Observed):
        def fault(self, error: BaseException) -> None:
            structlog.get_logger("x").error("engine_fault")

    def fail(_questions: object) -> BatchAnswer:
        raise RuntimeError

    engine = Coalescer(Engine(fail), Faulty(), clock=time.monotonic, tracing=tracing)
    async with tracing:
        with tracing.request("r", PARENT, {}):
            await engine.ask("inference", b"{}")
            await asyncio.sleep(0.01)
    (line,) = [one for one in map(json.loads, logged.getvalue().splitlines()) if one["event"] == "engine_fault"]
    assert "trace_id" not in line


async def test_decisions_that_are_committed_together_are_linked_and_the_store_is_below(tmp_path: Path) -> None:
    tracing, exporter = kept()
    async with tracing:
        store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}", spans=tracing)
        async with AuditLog(store.decisions, spans=tracing) as audit:

            async def record(number: int) -> None:
                with tracing.request(f"request {number}", None, {}):
                    await audit.record(f"dec-{number}", 1.0, "inference", "s", "deny", b"{}")

            await asyncio.gather(*(record(number) for number in range(20)))
        await store.ping()
        await store.close()
    spans = exporter.get_finished_spans()
    commits = [span for span in spans if span.name == "commit decisions"]
    written = [span for span in spans if span.name == "record decisions"]
    assert sum(len(span.links) for span in commits) == 20
    assert {span.parent.span_id for span in written if span.parent} == {span.context.span_id for span in commits}
    assert all(span.attributes == {"db.system.name": "sqlite"} for span in written)
    assert {span.name.split()[0] for span in spans} == {"request", "commit", "record"}, "nobody asked for the ping"


async def test_lines_of_the_log_say_their_trace_within_one_and_nothing_outside(logged: io.StringIO) -> None:
    tracing, _ = kept()
    log = structlog.get_logger("x")
    async with tracing:
        log.info("before")
        with tracing.request("r", PARENT, {}):
            log.info("within")
        log.info("after")
    lines = {line["event"]: line for line in map(json.loads, logged.getvalue().splitlines())}
    assert lines["within"]["trace_id"] == f"{PARENT.trace_id:032x}"
    assert len(lines["within"]["span_id"]) == 16
    assert "trace_id" not in lines["before"] and "trace_id" not in lines["after"]


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_collector_that_refuses_is_told_of_and_breaks_nothing(
    collector: Collector, status: int, logged: io.StringIO
) -> None:
    collector.status = status
    async with OtlpTracing(options(collector.url, delay_seconds=0.01)) as tracing:
        with tracing.request("r", None, {}):
            pass
    assert '"traces_lost"' in logged.getvalue()
    assert "a-key-of-ours" not in logged.getvalue()


def test_options_do_not_show_their_headers() -> None:
    assert "x-key" not in repr(options())
