"""Answers that run: they come as they are made, and end when their capability does."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
from aiohttp import web

from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy import Limits, Plain
from tests.adapters.gateway.proxy.conftest import (
    CHAT,
    DONE,
    PROMPT,
    USAGE,
    Bench,
    Stream,
    chunk,
    proxying,
    streamed,
    until,
)

STREAMED = {**PROMPT, "stream": True}


class Slow:
    """An upstream that says a piece when a test wants it to, and notices when nobody listens any more."""

    def __init__(self, bench: Bench, kind: str = "text/event-stream") -> None:
        self.pieces = asyncio.Queue[bytes | None]()
        self._kind = kind
        bench.model.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": self._kind})
        await answer.prepare(request)
        while (piece := await self.pieces.get()) is not None:
            await answer.write(piece)
        return answer

    def say(self, *pieces: bytes | None) -> None:
        for piece in pieces:
            self.pieces.put_nowait(piece)


async def running(bench: Bench, **options: object) -> tuple[Slow, Stream]:
    """Return an answer that has begun and goes on."""
    slow = Slow(bench)
    slow.say(chunk("it"))
    stream = await bench.stream(STREAMED, **options)  # type: ignore[arg-type]
    assert b'"it"' in await stream.piece()
    return slow, stream


async def test_an_event_is_passed_on_before_the_next_is_made(bench: Bench) -> None:
    slow, stream = await running(bench)
    for word in ("is", "on", "now"):
        slow.say(chunk(word))
        async with asyncio.timeout(5):
            assert word.encode() in await stream.piece(), "it came while the model still has more to say"
    slow.say(chunk(None, finish="stop"), DONE, None)
    body, is_whole = await stream.rest()
    assert is_whole
    assert body.endswith(DONE)


@pytest.mark.parametrize("kind", ["capability", "subject", "key"])
async def test_what_is_revoked_cuts_a_running_answer_within_a_second(bench: Bench, kind: str) -> None:
    token = bench.mint()
    slow, stream = await running(bench, token=token)
    values = {
        "capability": bench.claims(token).jti,
        "subject": bench.claims(token).sub,
        "key": bench.issuer.keys[0].kid,
    }
    revoked_at = time.monotonic()
    bench.known.revoke(kind, values[kind])
    body, is_whole = await stream.rest()
    assert time.monotonic() - revoked_at < 1.0
    assert not is_whole, "nobody takes it for a whole answer"
    last = json.loads(body.decode().rpartition("data: ")[2])
    assert last["error"]["status"] == 401
    await until(lambda: not bench.model.running)
    assert bench.book.is_even
    assert bench.book.settled[0] > 0, "what was said until then was used"
    slow.say(None)


async def test_a_capability_of_somebody_else_that_is_revoked_cuts_nothing(bench: Bench) -> None:
    slow, stream = await running(bench)
    bench.known.revoke("subject", "dev-other")
    bench.known.revoke("capability", "cap-other")
    await asyncio.sleep(3 * bench.parts.limits.watch_seconds)
    slow.say(chunk("on"), DONE, None)
    body, is_whole = await stream.rest()
    assert is_whole
    assert b'"on"' in body


@pytest.mark.parametrize("how", ["expiry", "silence"])
async def test_an_answer_ends_with_its_capability_and_when_nobody_knows_of_revocations(bench: Bench, how: str) -> None:
    _slow, stream = await running(bench, token=bench.mint(ttl=60.0))
    if how == "expiry":
        bench.clock.now += 61.0
    else:
        bench.known.state.doubt()
    body, is_whole = await stream.rest()
    assert not is_whole
    status = 401 if how == "expiry" else 503
    assert json.loads(body.decode().rpartition("data: ")[2])["error"]["status"] == status


async def test_a_revoked_client_that_does_not_read_gets_nothing_more() -> None:
    async with proxying(limits=Limits(stream_bytes=2**30, window_chars=10**9)) as bench:
        bench.book.total = 10**9
        token = bench.mint(max_output_tokens=10**7)

        async def flood(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            while True:
                await answer.write(chunk("x" * 16_000))

        bench.model.answer = flood
        stream = await bench.stream(STREAMED, token=token)
        # Until all buffers are full, and the model is made to wait.
        await until(lambda: bool(bench.parts.point) and bench.model.running == 1)
        await asyncio.sleep(0.3)
        bench.known.revoke("capability", bench.claims(token).jti)
        await until(lambda: not bench.model.running)
        body, is_whole = await stream.rest()
        assert not is_whole
        assert len(body) < 16 * 2**20, "the model did not run ahead of a client that takes nothing"


async def test_a_client_that_is_gone_ends_the_model_s_work(bench: Bench) -> None:
    _slow, stream = await running(bench)
    stream.close()
    await until(lambda: not bench.model.running)
    await until(lambda: bench.book.is_even)


async def test_a_client_that_leaves_before_the_first_word_ends_the_model_s_work(bench: Bench) -> None:
    never = asyncio.Event()

    async def think(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    bench.model.answer = think
    asking = asyncio.create_task(bench.stream(STREAMED))
    await until(lambda: bench.model.running == 1)
    bench.open[-1].close()
    await until(lambda: not bench.model.running)
    await until(lambda: bench.book.is_even)
    assert bench.book.settled[0] > 0, "the model may have read the prompt"
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_word_that_policy_denies_cuts_the_answer_and_one_across_two_events_too(bench: Bench) -> None:
    slow, stream = await running(bench)
    slow.say(chunk(" is forb"), chunk("idden to"))
    body, is_whole = await stream.rest()
    assert not is_whole
    assert json.loads(body.decode().rpartition("data: ")[2])["error"]["status"] == 403
    await until(lambda: bench.book.is_even)


async def test_nobody_is_told_that_an_answer_is_over_before_all_of_it_was_judged(bench: Bench) -> None:
    pieces = [chunk("forbidden"), chunk(None, finish="stop"), USAGE, DONE]
    bench.model.answer = lambda request: streamed(request, pieces)
    body, is_whole = await (await bench.stream(STREAMED)).rest()
    assert not is_whole
    assert b"[DONE]" not in body
    assert b'"stop"' not in body


async def test_the_answers_of_several_choices_are_judged_each_by_itself(bench: Bench) -> None:
    pieces = [chunk("for", index=0), chunk("not ", index=1), chunk("bidden", index=0), chunk("this", index=1), DONE]
    bench.model.answer = lambda request: streamed(request, pieces)
    stream = await bench.stream({**STREAMED, "n": 2})
    _body, is_whole = await stream.rest()
    assert not is_whole


async def test_no_more_than_two_windows_pass_unjudged() -> None:
    gate = asyncio.Event()
    async with proxying(limits=Limits(window_chars=100, window_overlap=10)) as bench:
        judge = bench.judge.judge

        async def wait(admitted: object, direction: str, texts: Sequence[str]) -> object:
            if direction == "answer":
                await gate.wait()
            return await judge(admitted, direction, texts)  # type: ignore[arg-type]

        bench.judge.judge = wait  # type: ignore[method-assign, assignment]
        bench.model.answer = lambda request: streamed(request, [*(chunk("y" * 10) for _ in range(60)), DONE])
        stream = await bench.stream(STREAMED, token=bench.mint(max_output_tokens=1000))
        got = b""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                while piece := await stream.piece():
                    got += piece
        assert 100 <= got.count(b"y") <= 210
        gate.set()
        rest, is_whole = await stream.rest()
        assert is_whole
        assert (got + rest).count(b"y") == 600


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_a_part_that_is_longer_than_windows_is_judged_before_it_passes(kind: str) -> None:
    gate = asyncio.Event()
    api = None if kind == "text/event-stream" else Plain(["POST " + CHAT])
    async with proxying(api) as bench:
        judge = bench.judge.judge

        async def wait(admitted: object, direction: str, texts: Sequence[str]) -> object:
            if "long" in "".join(texts):
                await gate.wait()
            return await judge(admitted, direction, texts)  # type: ignore[arg-type]

        bench.judge.judge = wait  # type: ignore[method-assign, assignment]
        slow, long = Slow(bench, kind), "long " * 1000 + "forbidden"
        slow.say(chunk("it"))
        stream = await bench.stream(STREAMED, token=bench.mint(max_output_tokens=9000))
        assert b'"it"' in await stream.piece()
        slow.say(chunk(long), None)
        rest = asyncio.create_task(stream.rest())
        await until(lambda: not slow.pieces.qsize() and not bench.model.running)
        gate.set()
        body, is_whole = await rest
        assert (b"long" in body, is_whole) == (False, False)


async def test_a_proxy_that_holds_answers_shows_nothing_of_one_that_is_denied() -> None:
    async with proxying(holds=True) as bench:
        bench.model.answer = lambda request: streamed(request, [chunk("it is for"), chunk("bidden"), DONE])
        reply = await bench.call(STREAMED)
        assert reply.status == 403
        assert reply.headers["content-type"] == "application/problem+json"
        bench.model.answer = lambda request: streamed(request, [chunk("it is "), chunk("on"), USAGE, DONE])
        assert (await bench.call(STREAMED)).body == chunk_of("it is ") + chunk_of("on") + DONE


def chunk_of(text: str) -> bytes:
    """An event as the proxy spells it."""
    return f"data: {json.dumps(json.loads(chunk(text)[6:]), separators=(',', ':'))}\n\n".encode()


async def test_what_must_be_blacked_out_and_went_by_already_cuts_the_answer(bench: Bench) -> None:
    bench.judge.on["answer"] = Terms("dec-1", redact=frozenset({"secrets"}))
    _slow, stream = await running(bench)
    body, is_whole = await stream.rest()
    assert not is_whole
    assert json.loads(body.decode().rpartition("data: ")[2])["error"]["code"] == "answer-withheld"


@pytest.mark.parametrize("fault", [ZeroDivisionError, ConnectionResetError])
async def test_a_fault_while_an_answer_runs_ends_it_and_writes_no_other_into_it(
    bench: Bench, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, stream = await running(bench)

    def fail(*_given: object) -> None:
        raise fault

    monkeypatch.setattr(bench.parts.endpoints[next(iter(bench.parts.endpoints))].answers, "usage", fail, raising=True)
    slow.say(chunk("on"))
    body, is_whole = await stream.rest()
    assert not is_whole
    assert b"HTTP/1.1" not in body
    await until(lambda: bench.book.is_even)
    await until(lambda: not bench.model.running)


async def test_a_stream_that_ends_without_its_last_event_is_no_whole_answer(bench: Bench) -> None:
    bench.model.answer = lambda request: streamed(request, [chunk("it is")])
    body, is_whole = await (await bench.stream(STREAMED)).rest()
    assert not is_whole
    assert b"502" in body


async def test_a_model_that_stalls_is_given_up() -> None:
    async with proxying(limits=Limits(stall_seconds=0.2)) as bench:
        _slow, stream = await running(bench)
        body, is_whole = await stream.rest()
        assert not is_whole
        assert json.loads(body.decode().rpartition("data: ")[2])["error"]["status"] == 504


async def test_events_that_wait_for_the_end_of_an_answer_are_bounded() -> None:
    async with proxying(limits=Limits(answer_bytes=5000)) as bench:
        over = (chunk(None, finish="stop") for _ in range(200))
        bench.model.answer = lambda request: streamed(request, [chunk("it"), *over, DONE])
        _body, is_whole = await (await bench.stream(STREAMED)).rest()
        assert not is_whole


async def test_an_answer_that_does_not_end_is_cut_at_its_bounds() -> None:
    async with proxying(limits=Limits(stream_bytes=20_000)) as bench:
        bench.model.answer = lambda request: streamed(request, [chunk("x" * 1000) for _ in range(100)])
        body, is_whole = await (await bench.stream(STREAMED)).rest()
        assert not is_whole
        assert len(body) < 21_000
    async with proxying() as bench:
        bench.model.answer = lambda request: streamed(request, [chunk("x") for _ in range(1000)])
        body, is_whole = await (await bench.stream(STREAMED, token=bench.mint(max_output_tokens=10))).rest()
        assert not is_whole
        assert body.count(b'"x"') <= 36


async def test_tokens_are_counted_where_the_model_states_none(bench: Bench) -> None:
    bench.model.answer = lambda request: streamed(request, [chunk("abcdef"), chunk("g"), DONE])
    stream = await bench.stream(STREAMED)
    await stream.rest()
    prompt = -(-len(json.dumps(STREAMED)) // 3)
    assert bench.book.settled == [prompt + 3]
