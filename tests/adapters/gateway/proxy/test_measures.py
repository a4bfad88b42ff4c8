"""What the proxy measures: tokens and times under OpenTelemetry's names, outcomes and cuts under ours."""

import json
from typing import Any

from prometheus_client import CollectorRegistry

from adapters.gateway.metrics import GatewayMetrics
from tests.adapters.gateway.proxy.conftest import DONE, MODEL, PROMPT, USAGE, chunk, proxying, streamed, until
from tests.adapters.gateway.proxy.test_streams import Slow

STREAMED = {**PROMPT, "stream": True}
LABELS = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": MODEL}


class Measured:
    """Metrics of one proxy, and what they say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = GatewayMetrics("models-1", [MODEL], registry=self.registry)

    def __call__(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def requests(self, error: str = "") -> float:
        return self("gen_ai_server_request_duration_seconds_count", **LABELS, error_type=error)

    def tokens(self, kind: str) -> float:
        return self("gen_ai_client_token_usage_sum", **LABELS, gen_ai_token_type=kind)


async def test_tokens_and_times_of_whole_and_running_answers_are_measured() -> None:
    said = Measured()
    async with proxying(metrics=said.metrics) as bench:
        await bench.call(PROMPT)
        assert (said.tokens("input"), said.tokens("output"), said.requests()) == (5, 3, 1)
        bench.model.answer = lambda request: streamed(request, [chunk("a"), chunk("b"), USAGE, DONE])
        await (await bench.stream(STREAMED)).rest()
        await until(lambda: said.requests() == 2)
        assert (said.tokens("input"), said.tokens("output")) == (10, 6)
        assert said("gen_ai_server_time_to_first_token_seconds_count", **LABELS) == 1, (
            "whole answers have no first token"
        )
        assert said("ztfm_adapter_gateway_streams", audience="models-1") == 0


async def test_what_comes_to_nothing_is_measured_by_its_cause() -> None:
    said = Measured()
    async with proxying(metrics=said.metrics) as bench:

        async def fail(_request: Any) -> Any:
            raise RuntimeError

        bench.model.answer = fail
        await bench.call(PROMPT)
        await bench.call({**PROMPT, "messages": [{"role": "user", "content": "forbidden"}]})
        bench.book.total = 0
        await bench.call(PROMPT)
        assert [said.requests(error) for error in ("upstream_status", "content", "budget")] == [1, 1, 1]
        await bench.send("POST", "/v1/chat/completions", [], json.dumps(PROMPT).encode())
        assert said.requests("refused") == 0, "nobody was let through to a model"


async def test_a_cut_is_counted_by_its_cause() -> None:
    said = Measured()
    async with proxying(metrics=said.metrics) as bench:
        token = bench.mint()
        Slow(bench).say(chunk("it"))
        stream = await bench.stream(STREAMED, token=token)
        await stream.piece()
        assert said("ztfm_adapter_gateway_streams", audience="models-1") == 1
        bench.known.revoke("capability", bench.claims(token).jti)
        await stream.rest()
        assert said("ztfm_adapter_gateway_cuts_total", audience="models-1", cause="revoked") == 1
        assert said.requests("revoked") == 1
