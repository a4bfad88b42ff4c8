"""The Open Inference Protocol through the proxy."""

import json

from aiohttp import web

from adapters.gateway.proxy import KServe, Served
from tests.adapters.gateway.proxy.conftest import Bench, proxying

INFER = "/v2/models/intents/infer"
TEXTS = {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["turn it on", "now"]}]}


async def infer(request: web.Request) -> web.StreamResponse:
    """Answer an inference, and what is asked about the model."""
    if request.method == "GET":
        return web.json_response({"name": "intents", "platform": "onnx", "inputs": [], "outputs": []})
    outputs = [{"name": "label", "shape": [1], "datatype": "BYTES", "data": ["light_on"]}]
    return web.json_response({"model_name": "intents", "outputs": outputs})


def served(**options: str) -> object:
    return proxying(KServe(), [Served("intents", **options)])


async def test_an_inference_goes_to_the_model_under_its_name_there() -> None:
    async with proxying(KServe(), [Served("intents", "org/intents v2")]) as bench:
        bench.model.answer = infer
        reply = await bench.call(TEXTS, INFER)
        assert reply.json["outputs"][0]["data"] == ["light_on"]
        assert [path for _method, path, *_ in bench.model.seen] == ["/v2/models/org%2Fintents%20v2/infer"]
        assert bench.judge.seen == [("prompt", ("turn it on", "now")), ("answer", ("light_on",))]


async def test_numbers_are_looked_at_and_counted_one_by_one() -> None:
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[0.5, 1.5], [2.5, 3.5]]}
    async with proxying(KServe()) as bench:
        bench.model.answer = infer
        assert (await bench.call({"inputs": [tensor]}, INFER, token=bench.mint(max_output_tokens=7))).status == 200
        assert bench.judge.seen[0] == ("prompt", ("[[0.5,1.5],[2.5,3.5]]",))
        bench.book.total = bench.book.spent + 4 + 7
        assert (await bench.call({"inputs": [tensor]}, INFER, token=bench.mint(max_output_tokens=7))).status == 200
        bench.book.total = bench.book.spent + 4 + 6
        assert (await bench.call({"inputs": [tensor]}, INFER, token=bench.mint(max_output_tokens=7))).status == 429


async def test_what_a_model_says_of_itself_is_shown_to_those_who_may_see_labels_alone() -> None:
    async with proxying(KServe()) as bench:
        bench.model.answer = infer
        token = bench.mint(detail="label_only")
        reply = await bench.call(None, "/v2/models/intents", token, method="GET")
        assert (reply.status, reply.json["platform"]) == (200, "onnx")
        assert (await bench.call(None, "/v2/models/intents/ready", token, method="GET")).status == 200
        assert (await bench.call(TEXTS, INFER, token)).status == 502


async def test_the_weights_that_are_served_are_those_of_the_capability() -> None:
    digest = "sha256:" + "a" * 64
    async with proxying(KServe(), [Served("intents", digest=digest)]) as bench:
        assert (await bench.call(TEXTS, INFER, bench.mint(model_digest=digest))).status == 200
        assert (await bench.call(TEXTS, INFER, bench.mint(model_digest="sha256:" + "b" * 64))).status == 403
        assert (await bench.call(TEXTS, INFER, bench.mint())).status == 403
        assert len(bench.model.seen) == 1


async def test_a_path_of_the_server_itself_is_not_there(bench: Bench) -> None:
    async with proxying(KServe()) as kserve:
        for path in ("/v2", "/v2/repository/index", "/v2/models/other/infer", "/v2/systemsharedmemory/status"):
            assert (await kserve.call(json.loads("{}"), path)).status == 404
        assert kserve.model.seen == []
