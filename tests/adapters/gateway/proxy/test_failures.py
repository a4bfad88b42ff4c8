"""Upstreams that fail: what the client is told, and that it is no part of an answer."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.gateway.proxy import Limits
from tests.adapters.gateway.proxy.conftest import PROMPT, Bench, completion, proxying
from tests.servers.ports import free_port


def problem(reply: Any) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == reply.status
    return reply.status, reply.json["title"]


async def test_a_model_server_that_is_not_there_is_said_to_be_so() -> None:
    async with proxying(upstream=f"http://127.0.0.1:{free_port()}") as bench:
        assert problem(await bench.call(PROMPT)) == (502, "The model server cannot be reached")
        assert bench.book.settled == [0]


async def test_a_model_server_behind_a_socket_is_reached_and_one_that_is_not_there_is_not(tmp_path: Path) -> None:
    socket = tmp_path / "model.sock"
    async with proxying(upstream=f"unix:{socket}") as bench:
        assert problem(await bench.call(PROMPT)) == (502, "The model server cannot be reached")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", bench.model.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        await web.UnixSite(runner, socket).start()
        assert (await bench.call(PROMPT)).status == 200
        assert bench.model.header("host") == ["localhost"]
        await runner.cleanup()


async def test_a_model_server_that_does_not_answer_in_time_is_said_to_be_late() -> None:
    async with proxying(limits=Limits(answer_seconds=0.2)) as bench:

        async def think(_request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(30)
            raise AssertionError

        bench.model.answer = think
        assert problem(await bench.call(PROMPT)) == (504, "The model server did not answer in time")
        assert bench.book.is_even


async def test_the_whole_of_a_request_has_its_time() -> None:
    async with proxying(limits=Limits(total_seconds=0.3)) as bench:

        async def drip(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "application/json"})
            await answer.prepare(request)
            while True:
                await answer.write(b" ")
                await asyncio.sleep(0.02)

        bench.model.answer = drip
        assert (await bench.call(PROMPT)).status == 504
        assert bench.book.is_even


@pytest.mark.parametrize(
    ("status", "told"), [(500, 502), (502, 502), (504, 504), (503, 503), (401, 502), (403, 502), (407, 502), (302, 502)]
)
async def test_a_status_of_the_model_server_is_not_taken_for_the_proxy_s(bench: Bench, status: int, told: int) -> None:
    async def fail(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="internal: 10.0.0.7", headers={"WWW-Authenticate": "Basic"})

    bench.model.answer = fail
    reply = await bench.call(PROMPT)
    assert problem(reply)[0] == told
    assert b"10.0.0.7" not in reply.body
    assert "www-authenticate" not in reply.headers


async def test_what_the_model_says_is_wrong_with_a_question_is_passed_on_and_looked_at(bench: Bench) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        words = (await request.json())["messages"][0]["content"]
        return web.json_response({"error": {"message": f"cannot {words}"}}, status=400)

    bench.model.answer = refuse
    reply = await bench.call(PROMPT)
    assert (reply.status, reply.json) == (400, {"error": {"message": "cannot turn on the light"}})
    assert ("answer", ("cannot turn on the light",)) in bench.judge.seen


async def broken_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
    await answer.prepare(request)
    await answer.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return answer


async def compressed(_request: web.Request) -> web.StreamResponse:
    body = gzip.compress(json.dumps(completion("on")).encode())
    return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


@pytest.mark.parametrize(
    "answer",
    [
        broken_off,
        compressed,
        lambda _request: _answer(b'{"a": 1', "application/json"),
        lambda _request: _answer(b'{"a": 1, "a": 2}', "application/json"),
        lambda _request: _answer(b"\xff\xfe", "text/plain"),
        lambda _request: _answer(b"\x89PNG", "image/png"),
        lambda _request: _answer(b"data: \xff\n\n", "text/event-stream"),
        lambda _request: _answer(b"data: " + b"x" * 100_000, "text/event-stream"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_none(bench: Bench, answer: Any) -> None:
    bench.model.answer = answer
    stream = await bench.stream(PROMPT)
    if stream.status == 502:
        body = await stream.reader.readexactly(int(stream.headers["content-length"]))
        assert json.loads(body)["title"] == "The model server's answer is broken"
    else:
        _body, is_whole = await stream.rest()
        assert not is_whole


async def _answer(body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": kind})


@pytest.mark.parametrize("is_stated", [True, False])
async def test_an_answer_beyond_its_bound_is_withheld_whole(is_stated: bool) -> None:
    async with proxying(limits=Limits(answer_bytes=1000)) as bench:

        async def flood(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "application/json"})
            if is_stated:
                answer.content_length = 5000
            await answer.prepare(request)
            await answer.write(b'"' + b"x" * 4998 + b'"')
            return answer

        bench.model.answer = flood
        reply = await bench.call(PROMPT)
        assert problem(reply) == (502, "The answer is too large")
        assert b"xxx" not in reply.body


async def test_headers_of_the_model_server_stay_with_it_unless_they_are_known(bench: Bench) -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        headers = {"Set-Cookie": "a=b", "X-Internal": "10.0.0.7", "X-Request-Id": "r-1", "Alt-Svc": 'h3=":443"'}
        return web.json_response(completion("on"), headers=headers)

    bench.model.answer = say
    reply = await bench.call(PROMPT)
    assert {"set-cookie", "x-internal", "alt-svc"}.isdisjoint(reply.headers)
    assert (reply.headers["x-request-id"], reply.headers["cache-control"]) == ("r-1", "no-store")
    assert reply.headers["ztfm-decision"] == "dec-content"


async def test_a_fault_lets_nothing_through(bench: Bench) -> None:
    async def fail(*_given: object) -> Any:
        raise ZeroDivisionError

    bench.judge.judge = fail  # type: ignore[method-assign]
    assert (await bench.call(PROMPT)).status == 503
    assert bench.model.seen == []
    assert bench.book.settled == [0]
