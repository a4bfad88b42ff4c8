"""What a gateway measures, as Prometheus reads it and as a collector gets it."""

import argparse
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as conventions
from prometheus_client import generate_latest

from adapters.gateway.instruments import ALL
from adapters.gateway.metrics import MOST_OUTCOMES, OTHER, Exchange, GatewayMetrics, served
from adapters.gateway.otlp import sending
from adapters.gateway.reporting import add_options, reporting
from tests.servers.ports import free_port

CHAT = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "chat-7b"}


@dataclass
class Hands:
    """A clock whose hands a test holds."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def metrics(clock: Hands) -> GatewayMetrics:
    return GatewayMetrics("gateway-1", ("chat-7b",), clock=clock)


def value(metrics: GatewayMetrics, name: str, **labels: str) -> float | None:
    found: float | None = metrics.registry.get_sample_value(name, labels)
    return found


def streamed(metrics: GatewayMetrics, clock: Hands) -> Exchange:
    """Half a second to the first token, and four more in two seconds."""
    exchange = metrics.began("chat", "chat-7b")
    clock.now += 0.5
    exchange.first_token()
    clock.now += 1.0
    exchange.first_token()
    clock.now += 1.0
    return exchange


def test_a_streamed_answer_is_timed_to_its_first_token_to_its_last_byte_and_for_each_token(
    metrics: GatewayMetrics, clock: Hands
) -> None:
    exchange = streamed(metrics, clock)
    exchange.ended(input_tokens=7, output_tokens=5)
    exchange.ended("upstream_broken")
    assert value(metrics, "gen_ai_server_request_duration_seconds_sum", **CHAT, error_type="") == 2.5
    assert value(metrics, "gen_ai_server_time_to_first_token_seconds_sum", **CHAT) == 0.5
    assert value(metrics, "gen_ai_server_time_per_output_token_seconds_sum", **CHAT) == 0.5
    assert value(metrics, "gen_ai_client_token_usage_sum", **CHAT, gen_ai_token_type="input") == 7
    assert value(metrics, "gen_ai_client_token_usage_sum", **CHAT, gen_ai_token_type="output") == 5
    assert b"upstream_broken" not in generate_latest(metrics.registry)


def test_one_that_came_to_nothing_is_told_by_what_stopped_it_and_times_no_token(
    metrics: GatewayMetrics, clock: Hands
) -> None:
    streamed(metrics, clock).ended("revoked", input_tokens=7, output_tokens=2)
    assert value(metrics, "gen_ai_server_request_duration_seconds_count", **CHAT, error_type="revoked") == 1
    assert value(metrics, "gen_ai_server_time_to_first_token_seconds_count", **CHAT) is None
    assert value(metrics, "gen_ai_client_token_usage_sum", **CHAT, gen_ai_token_type="output") == 2


def test_what_nobody_counted_and_what_was_not_streamed_is_not_made_up(metrics: GatewayMetrics) -> None:
    metrics.began("chat", "chat-7b").ended()
    assert value(metrics, "gen_ai_client_token_usage_count", **CHAT, gen_ai_token_type="output") is None
    assert value(metrics, "gen_ai_server_time_to_first_token_seconds_count", **CHAT) is None
    assert value(metrics, "gen_ai_server_request_duration_seconds_count", **CHAT, error_type="") == 1


def test_callers_cannot_make_series(metrics: GatewayMetrics) -> None:
    anything: Any = "anything"
    for number in range(3 * MOST_OUTCOMES):
        metrics.began(anything, f"model-{number}").ended(anything)
        metrics.outcome("inference", f"cause-{number}")
    told = generate_latest(metrics.registry).decode()
    assert "anything" not in told and "model-" not in told
    assert told.count("ztfm_adapter_gateway_requests_total{") <= MOST_OUTCOMES + 2
    others = {**CHAT, "gen_ai_operation_name": OTHER, "gen_ai_request_model": OTHER}
    counted = value(metrics, "gen_ai_server_request_duration_seconds_count", **others, error_type=OTHER)
    assert counted == 3 * MOST_OUTCOMES


def test_who_is_let_through_and_what_is_cut_is_there_as_zero_before_anything_happened(metrics: GatewayMetrics) -> None:
    counted = {"audience": "gateway-1", "action": "inference", "outcome": "allowed"}
    assert value(metrics, "ztfm_adapter_gateway_requests_total", **counted) == 0
    assert value(metrics, "ztfm_adapter_gateway_cuts_total", audience="gateway-1", cause="revoked") == 0
    metrics.cut("revoked")
    with metrics.streaming(), metrics.streaming():
        assert value(metrics, "ztfm_adapter_gateway_streams", audience="gateway-1") == 2
    assert value(metrics, "ztfm_adapter_gateway_streams", audience="gateway-1") == 0
    assert value(metrics, "ztfm_adapter_gateway_cuts_total", audience="gateway-1", cause="revoked") == 1


def test_they_are_served_for_as_long_as_the_block_lasts(metrics: GatewayMetrics) -> None:
    metrics.outcome("inference", "wrong_key")
    with served(metrics.registry) as url, urllib.request.urlopen(url, timeout=5) as answer:
        assert b'ztfm_adapter_gateway_requests_total{action="inference",audience="gateway-1",' in answer.read()


def points(reader: InMemoryMetricReader) -> Iterator[tuple[Any, Any]]:
    found = reader.get_metrics_data()
    assert found is not None
    for metric in found.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            yield metric, point


def test_a_collector_gets_them_under_the_names_units_and_attributes_of_the_conventions(clock: Hands) -> None:
    reader = InMemoryMetricReader()
    with sending("http://127.0.0.1:9/v1/metrics", service="gateway-1", reader=reader) as recorder:
        metrics = GatewayMetrics("gateway-1", ("chat-7b",), recorder=recorder, clock=clock)
        streamed(metrics, clock).ended(input_tokens=7, output_tokens=5)
        metrics.began("chat", "chat-7b").ended("upstream_status")
        found = list(points(reader))
    names = {
        conventions.GEN_AI_CLIENT_TOKEN_USAGE: "{token}",
        conventions.GEN_AI_SERVER_REQUEST_DURATION: "s",
        conventions.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN: "s",
        conventions.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN: "s",
    }
    assert {metric.name: metric.unit for metric, _ in found} == names
    common = {attributes.GEN_AI_OPERATION_NAME, attributes.GEN_AI_PROVIDER_NAME, attributes.GEN_AI_REQUEST_MODEL}
    for metric, point in found:
        more = {"gen_ai.client.token.usage": {attributes.GEN_AI_TOKEN_TYPE}}.get(metric.name, set())
        assert point.attributes.keys() - {"error.type"} == common | more
    failed = [point for _, point in found if "error.type" in point.attributes]
    assert [point.attributes["error.type"] for point in failed] == ["upstream_status"]
    edges = {metric.name: tuple(point.explicit_bounds) for metric, point in found}
    assert edges == {one.name: one.buckets for one in ALL}


def test_what_is_left_at_the_end_reaches_a_collector_over_http(clock: Hands) -> None:
    bodies: list[tuple[str, str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.path, self.headers["x-key"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}/v1/metrics"
        with sending(endpoint, service="gateway-1", headers={"x-key": "k"}, every_seconds=600) as recorder:
            GatewayMetrics("gateway-1", ("chat-7b",), recorder=recorder, clock=clock).began("chat", "chat-7b").ended()
        thread.join(10)
    [(path, key, body)] = bodies
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    assert (path, key) == ("/v1/metrics", "k")
    assert [metric.name for metric in resource.scope_metrics[0].metrics] == ["gen_ai.server.request.duration"]
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "gateway-1"


def given(**options: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args([word for name, value in options.items() for word in (f"--{name}", str(value))])


def test_a_command_measures_nothing_unless_it_is_asked_to_and_then_serves_what_it_measures() -> None:
    with reporting(given(), "gateway-1", ()) as nothing:
        assert nothing is None
    address = f"127.0.0.1:{free_port()}"
    with reporting(given(metrics=address), "gateway-1", ("chat-7b",)) as metrics:
        assert metrics is not None
        metrics.began("chat", "chat-7b").ended()
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            assert b'gen_ai_request_model="chat-7b"' in answer.read()


@pytest.mark.parametrize(
    ("options", "lacks", "extra"),
    [
        ({"metrics": "127.0.0.1:9"}, "prometheus_client", "metrics"),
        ({"otlp": "http://127.0.0.1:9"}, "opentelemetry.sdk.metrics", "otel"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    options: dict[str, str], lacks: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adapters.gateway.metrics", "adapters.gateway.otlp"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, lacks, None)
    with (
        pytest.raises(ValueError, match=re.escape(f"pip install 'ztfm[{extra}]'")),
        reporting(given(**options), "gateway-1", ()),
    ):
        pass
