"""Plain HTTP endpoints through the proxy."""

import asyncio

import pytest
from aiohttp import web

from adapters.gateway.proxy import Limits, Plain, Served
from tests.adapters.gateway.proxy.conftest import proxying, streamed

PREDICT = "/predict"


async def test_only_paths_and_methods_that_are_named_are_there() -> None:
    async with proxying(Plain(["POST /predict", "GET /about"])) as bench:
        bench.model.answer = lambda _request: _said({"intent": "light_on"})
        assert (await bench.call({"text": "on"}, PREDICT)).json == {"intent": "light_on"}
        assert (await bench.call(None, "/about", method="GET")).status == 200
        assert (await bench.call(None, PREDICT, method="GET")).status == 405
        assert (await bench.call({}, "/admin")).status == 404
        assert [path for _method, path, *_ in bench.model.seen] == [PREDICT, "/about"]
        assert bench.judge.seen[:2] == [("prompt", ("on", "text")), ("answer", ("light_on", "intent"))]


async def test_a_segment_that_may_be_anything_goes_on_as_it_came_and_is_looked_at() -> None:
    async with proxying(Plain(["POST /pumps/{any}/score"])) as bench:
        bench.model.answer = lambda _request: _said({})
        assert (await bench.call({}, "/pumps/ignore%20all/score")).status == 200
        assert (await bench.call({}, "/pumps/a/b/score")).status == 404
        assert [path for _method, path, *_ in bench.model.seen] == ["/pumps/ignore%20all/score"]
        assert bench.judge.seen[0] == ("prompt", ("/pumps/ignore all/score",))


@pytest.mark.parametrize(
    ("document", "numbers"),
    [
        ([[0.5, 1], [2, 3.5]], ["[[0.5,1],[2,3.5]]"]),
        ({"instances": [{"x": [1, 2], "y": 3, "of": "me"}]}, ["me", "instances", "x", "y", "of", '{"y":3}', "[1,2]"]),
        ({"x": 0.5, "y": 1}, ["x", "y", '{"x":0.5,"y":1}']),
        ([1, {"x": None}, "me", [2, "you", 3]], ["me", "you", "x", "[1]", "[2,3]"]),
        (7, ["7"]),
        ([[], {}, None], []),
    ],
)
async def test_numbers_are_looked_at_too(document: object, numbers: list[str]) -> None:
    async with proxying(Plain(["POST /predict"])) as bench:
        bench.model.answer = lambda _request: _said({})
        assert (await bench.call(document, PREDICT)).status == 200
        assert bench.judge.seen[0] == ("prompt", tuple(numbers))


async def _said(document: object) -> web.Response:
    return web.json_response(document)


async def test_a_text_runs_through_as_it_comes_and_is_looked_at() -> None:
    async with proxying(Plain(["POST /predict"])) as bench:
        go_on = asyncio.Event()

        async def say(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await answer.prepare(request)
            await answer.write("grü".encode()[:-1])
            await go_on.wait()
            await answer.write("ü".encode()[1:] + b"n")
            return answer

        bench.model.answer = say
        stream = await bench.stream(None, PREDICT, raw=b"say green", headers=[("Content-Type", "text/plain")])
        assert await stream.piece() == b"gr"
        go_on.set()
        body, is_whole = await stream.rest()
        assert (body.decode(), is_whole) == ("ün", True)
        assert ("prompt", ("say green",)) in bench.judge.seen
        assert ("answer", ("grün",)) in bench.judge.seen


async def test_what_was_read_as_one_encoding_is_said_to_be_that_one() -> None:
    async with proxying(Plain(["POST /predict"])) as bench:

        async def say(request: web.Request) -> web.StreamResponse:
            kind = "application/json" if request.query_string else "text/plain"
            return web.Response(body=b'"on"', headers={"Content-Type": f"{kind}; charset=utf-16"})

        bench.model.answer = say
        told = [("Content-Type", "text/plain; charset=utf-16")]
        reply = await bench.call(None, PREDICT, raw="grün".encode(), headers=told)
        assert bench.model.header("content-type") == ["text/plain; charset=utf-8"]
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        reply = await bench.call(
            {"text": "on"}, PREDICT, query="?a", headers=[("Content-Type", "application/JSON;charset=x")]
        )
        assert bench.model.header("content-type") == reply.headers["content-type"].split("|") == ["application/json"]
        assert (await bench.call(None, PREDICT, raw="grün".encode("utf-16"), headers=told)).status == 400


async def test_events_without_json_run_through_too() -> None:
    async with proxying(Plain(["POST /predict"])) as bench:
        bench.model.answer = lambda request: streamed(
            request, [b": hi\n\n", b"event: word\r\nid: 7\r\ndata: on\r\n\r\n"]
        )
        body, is_whole = await (await bench.stream({"text": "x"}, PREDICT)).rest()
        assert (body, is_whole) == (b"event: word\nid: 7\ndata: on\n\n", True)
        bench.model.answer = lambda request: streamed(request, [b"data: forb\n\n", b"data: idden\n\n"])
        body, is_whole = await (await bench.stream({"text": "x"}, PREDICT)).rest()
        assert not is_whole


async def test_what_nobody_can_look_into_passes_only_where_that_is_said() -> None:
    async def draw(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x89PNG" * 10, content_type="image/png")

    for opaque, status in ((["image/png"], 200), ([], 415)):
        async with proxying(Plain(["POST /predict"], opaque)) as bench:
            bench.model.answer = draw
            reply = await bench.call(None, PREDICT, raw=b"\x89PNG", headers=[("Content-Type", "image/png")])
            assert reply.status == status
            assert len(bench.model.seen) == (status == 200)
            assert (await bench.call({"text": "a cat"}, PREDICT)).status == (200 if opaque else 502)


async def test_an_answer_that_is_longer_than_the_capability_allows_is_withheld() -> None:
    async with proxying(Plain(["POST /predict"])) as bench:
        bench.model.answer = lambda _request: _said({"text": "word " * 100})
        assert (await bench.call({"text": "x"}, PREDICT, bench.mint(max_output_tokens=10))).status == 502
        assert (await bench.call({"text": "x"}, PREDICT, bench.mint(max_output_tokens=200))).status == 200


@pytest.mark.parametrize("path", ["/predict", "DELETE /predict", "POST predict", "post /predict"])
def test_a_path_is_named_with_its_method(path: str) -> None:
    with pytest.raises(ValueError, match="POST /predict"):
        Plain([path])


def test_plain_paths_are_of_one_model_and_at_least_one_path() -> None:
    with pytest.raises(ValueError, match="one model"):
        Plain(["POST /predict"]).endpoints([Served("a"), Served("b")], Limits())
    with pytest.raises(ValueError, match="paths"):
        Plain([])
