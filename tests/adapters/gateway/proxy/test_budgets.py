"""Nothing is forwarded without a reservation, and each is settled, however it ends."""

import asyncio
import json

import pytest
from aiohttp import web

from adapters.gateway.interfaces import Exhausted
from adapters.gateway.proxy import KServe, Limits, Plain
from tests.adapters.gateway.proxy.conftest import DONE, PROMPT, Bench, chunk, completion, proxying, streamed, until


async def test_what_is_reserved_covers_the_prompt_and_the_longest_answer(bench: Bench) -> None:
    reserved = list[int]()

    async def look(_request: web.Request) -> web.StreamResponse:
        reserved.extend(bench.book.reserved.values())
        return web.json_response(completion("on", 5, 3))

    bench.model.answer = look
    await bench.call({**PROMPT, "n": 2, "max_tokens": 20}, token=bench.mint(max_output_tokens=64))
    body = {**PROMPT, "n": 2, "max_tokens": 20}
    assert reserved == [len(json.dumps(body, separators=(",", ":"))) + 40]


async def test_a_budget_that_does_not_reach_lets_nothing_through(bench: Bench) -> None:
    bench.book.total = 100
    reply = await bench.call(PROMPT)
    assert (reply.status, reply.headers["retry-after"]) == (429, "8")
    assert bench.model.seen == []
    assert bench.judge.seen == [], "nobody is asked about what there is no budget for"


async def test_budgets_that_cannot_be_asked_let_nothing_through(bench: Bench) -> None:
    bench.book.short = Exhausted("unknown", 1.0)
    assert (await bench.call(PROMPT)).status == 503

    async def fail() -> None:
        raise RuntimeError("the store is gone")

    bench.book.short, bench.book.before = None, fail
    assert (await bench.call(PROMPT)).status == 503
    assert bench.model.seen == []


@pytest.mark.parametrize("wait", [float("nan"), float("inf"), -1.0, 1e12])
async def test_a_wait_that_is_no_number_of_seconds_is_still_answered(bench: Bench, wait: float) -> None:
    bench.book.short = Exhausted("model", wait)
    reply = await bench.call(PROMPT)
    assert reply.status == 429
    assert 1 <= int(reply.headers["retry-after"]) <= 86_400


async def test_a_prompt_that_is_denied_costs_a_request_and_no_tokens(bench: Bench) -> None:
    denied = {**PROMPT, "messages": [{"role": "user", "content": "forbidden"}]}
    assert (await bench.call(denied)).status == 403
    assert (bench.model.seen, bench.book.requests, bench.book.settled) == ([], 1, [0])


@pytest.mark.parametrize(
    ("status", "is_charged"), [(400, False), (404, False), (429, False), (500, True), (401, False), (302, False)]
)
async def test_what_the_model_refuses_costs_no_tokens_and_what_it_may_have_read_does(
    bench: Bench, status: int, is_charged: bool
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=status)

    bench.model.answer = refuse
    await bench.call(PROMPT)
    assert bench.book.is_even
    assert (bench.book.settled[0] > 0) == is_charged


async def test_what_is_estimated_is_never_more_than_what_was_reserved() -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"choices": [{"index": 0, "message": {"content": "w" * 600}}]})

    async with proxying() as bench:
        bench.model.answer = say
        raw = json.dumps(PROMPT).encode() + b" " * 9000
        assert (await bench.call(raw=raw, token=bench.mint(max_output_tokens=20))).status == 200
        assert bench.book.settled == [len(json.dumps({**PROMPT, "max_tokens": 20}, separators=(",", ":"))) - 16 + 20]
    async with proxying(Plain(["POST /predict"])) as bench:
        bench.model.answer = say
        assert (await bench.call({"text": "x"}, "/predict", bench.mint(max_output_tokens=20))).status == 502
        assert bench.book.settled == [5 + 20]


def stated(output: int) -> bytes:
    return f'data: {{"choices":[],"usage":{{"prompt_tokens":5,"completion_tokens":{output}}}}}\n\n'.encode()


@pytest.mark.parametrize(
    ("pieces", "settled"),
    [
        ([stated(0), chunk("a"), chunk("b"), DONE], 5 + 2),
        ([chunk("a"), stated(9), stated(1), DONE], 5 + 9),
        ([chunk("a"), stated(1), chunk("b"), stated(2), DONE], 5 + 2),
        ([stated(60), *(chunk("a") for _ in range(20)), DONE], 5 + 64),
    ],
)
async def test_usage_that_is_stated_early_or_twice_hides_nothing_of_an_answer(
    bench: Bench, pieces: list[bytes], settled: int
) -> None:
    bench.model.answer = lambda request: streamed(request, pieces)
    await (await bench.stream({**PROMPT, "stream": True})).rest()
    assert bench.book.settled == [settled]


async def test_an_answer_that_is_withheld_is_paid_for(bench: Bench) -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        return web.json_response(completion("forbidden", 50, 3))

    bench.model.answer = say
    assert (await bench.call(PROMPT)).status == 403
    assert bench.book.settled == [53]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"completion_tokens": 1},
        [],
        None,
    ],
)
async def test_a_usage_that_cannot_be_is_not_believed(bench: Bench, usage: object) -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        return web.json_response({**completion("abcdef"), "usage": usage})

    bench.model.answer = say
    await bench.call(PROMPT)
    assert bench.book.settled == [-(-len(json.dumps(PROMPT)) // 3) + 2]


async def test_a_client_that_leaves_while_a_budget_is_asked_leaves_nothing_reserved(bench: Bench) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await go_on.wait()

    bench.book.before = wait
    asking = asyncio.create_task(bench.stream(PROMPT))
    await asked.wait()
    bench.open[-1].close()
    await asyncio.sleep(0.05)
    go_on.set()
    await until(lambda: bench.book.requests == 1 and bench.book.is_even)
    assert bench.book.settled == [0]
    assert bench.model.seen == []
    await asyncio.gather(asking, return_exceptions=True)


async def test_many_at_once_never_take_more_than_there_is() -> None:
    async with proxying(limits=Limits(requests_per_subject=64)) as bench:
        each = len(json.dumps(PROMPT, separators=(",", ":"))) + 64
        bench.book.total = 10 * each

        async def slow(_request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.1)
            return web.json_response(completion("on", each - 64, 64))

        bench.model.answer = slow
        replies = await asyncio.gather(*(bench.call(PROMPT) for _ in range(30)))
        statuses = [reply.status for reply in replies]
        assert (statuses.count(200), statuses.count(429)) == (10, 20)
        assert bench.book.spent == bench.book.total
        assert len(bench.model.seen) == 10


async def about(_request: web.Request) -> web.StreamResponse:
    """An answer that fits every API."""
    return web.json_response({"usage": {"prompt_tokens": 2}, "outputs": []})


async def test_no_path_that_is_forwarded_goes_without_a_budget_and_a_look() -> None:
    asked = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.5]}]}
    chats = {"/v1/chat/completions": PROMPT, "/v1/completions": {"prompt": "on"}, "/v1/embeddings": {"input": "on"}}
    served = {
        "openai": (None, chats),
        "kserve": (
            KServe(),
            {"/v2/models/intents/infer": asked, "/v2/models/intents": None, "/v2/models/intents/ready": None},
        ),
        "plain": (Plain(["POST /predict", "GET /about"]), {"/predict": {"text": "on"}, "/about": None}),
    }
    for api, paths in served.values():
        async with proxying(api) as bench:
            bench.model.answer = about
            forwarded = {one.rule.path for one in bench.parts.endpoints.values() if one.own is None}
            assert forwarded == set(paths), "each path that is forwarded is tried here"
            for tried, (path, body) in enumerate(paths.items(), start=1):
                method = "GET" if body is None else "POST"
                assert (await bench.call(body, path, method=method)).status == 200
                assert len(bench.model.seen) == bench.book.requests == tried
                assert [direction for direction, _ in bench.judge.seen] == ["prompt", "answer"] * tried
            bench.book.short = Exhausted("segment", 1.0)
            for path, body in paths.items():
                assert (await bench.call(body, path, method="GET" if body is None else "POST")).status == 429
            assert len(bench.model.seen) == len(paths)
            assert bench.book.is_even
