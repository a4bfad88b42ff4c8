"""The transport believes nothing but a well-formed answer from a server that it reached within the time."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contracts.policies import PolicyLayer
from controlplane.decisions.breaker import CircuitBreaker
from controlplane.decisions.coalescing import Coalescer
from controlplane.decisions.engine import Answered, BatchFault, Unanswered
from controlplane.decisions.opa import BATCH_PATH, MAX_RESPONSE_BYTES, OpaAddress, OpaTransport, parse_answer
from tests.support import ControlPlane

GOOD = {"result": {"revision": "rev", "decisions": {"0": {"allow": True}}}}
Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(respond: Respond, *, tcp: bool = False) -> AsyncIterator[OpaAddress]:
    """A small real server that answers as a test needs."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        path = Path(folder) / "opa.sock"
        if tcp:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield OpaAddress(token="secret", url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        else:
            await web.UnixSite(runner, str(path)).start()
            yield OpaAddress(token="secret", socket=path)
        await runner.cleanup()


async def sent(address: OpaAddress, within: float = 2.0) -> Any:
    transport = OpaTransport(address)
    try:
        return await transport.send(b'{"input":{}}', within)
    finally:
        await transport.close()


async def fault(address: OpaAddress, within: float = 2.0) -> tuple[str, bool]:
    with pytest.raises(BatchFault) as raised:
        await sent(address, within)
    return raised.value.cause, raised.value.whole


@pytest.mark.parametrize("tcp", [False, True])
async def test_it_sends_the_batch_with_the_token_and_returns_the_answers(tcp: bool) -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def respond(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"], await request.read()))
        return web.json_response(GOOD)

    async with server(respond, tcp=tcp) as address:
        answer = await sent(address)
    assert (answer.revision, answer.documents) == ("rev", {"0": {"allow": True}})
    assert seen == [(BATCH_PATH, "Bearer secret", b'{"input":{}}')]


@pytest.mark.parametrize("revision", ["rev", "rev+site:s", "rev+site:none", "rev+tenant:t", "rev+tenant:t+site:s"])
@pytest.mark.parametrize("layers", [(), ("site",), ("tenant",), ("tenant", "site"), None])
async def test_an_opa_that_was_started_for_other_layers_answers_nothing(
    revision: str, layers: tuple[PolicyLayer, ...] | None
) -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.json_response({"result": {**GOOD["result"], "revision": revision}})

    is_ours = layers is None or [part.split(":")[0] for part in revision.split("+")[1:]] == list(layers)
    async with server(respond) as address:
        transport = OpaTransport(address, layers=layers)
        try:
            if is_ours:
                assert (await transport.send(b'{"input":{}}', 2.0)).revision == revision
            else:
                with pytest.raises(BatchFault) as raised:
                    await transport.send(b'{"input":{}}', 2.0)
                assert (raised.value.cause, raised.value.whole) == ("undefined", True)
        finally:
            await transport.close()


@pytest.mark.parametrize(
    ("status", "whole"),
    [(400, False), (500, False), (404, False), (302, False), (204, False)]
    + [(status, True) for status in (401, 403, 429, 502, 503, 504)],
)
async def test_another_status_is_no_answer_whatever_the_body_says(status: int, whole: bool) -> None:
    async def respond(_request: web.Request) -> web.Response:
        headers = {"Location": "http://127.0.0.1:1/elsewhere"} if status == 302 else {}
        return web.Response(status=status, text=json.dumps(GOOD) if status != 204 else None, headers=headers)

    async with server(respond) as address:
        assert await fault(address) == ("engine_error", whole)


async def test_a_redirect_is_not_followed_and_takes_no_token_away() -> None:
    paths: list[str] = []

    async def respond(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/other"})

    async with server(respond) as address:
        await fault(address)
    assert paths == [BATCH_PATH]


async def test_nobody_there_is_unreachable_at_once() -> None:
    started = time.monotonic()
    assert await fault(OpaAddress(token="t", socket=Path("/nowhere/opa.sock"))) == ("unreachable", True)
    assert await fault(OpaAddress(token="t", url="http://127.0.0.1:1")) == ("unreachable", True)
    assert time.monotonic() - started < 1.0


async def test_a_server_that_does_not_answer_costs_no_more_than_the_time_given() -> None:
    async def respond(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with server(respond) as address:
        started = time.monotonic()
        assert await fault(address, 0.2) == ("deadline", True)
        assert time.monotonic() - started < 1.0


async def test_a_server_that_drips_costs_no_more_either() -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(300):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    async with server(respond) as address:
        assert await fault(address, 0.3) == ("deadline", True)


async def test_a_connection_that_breaks_is_tried_once_more_and_no_more() -> None:
    calls = 0

    async def respond(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with server(respond) as address:
        assert await fault(address) == ("unreachable", True)
    assert calls == 2


async def test_a_connection_that_breaks_once_is_no_fault() -> None:
    calls = 0

    async def respond(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(GOOD)

    async with server(respond) as address:
        assert (await sent(address)).revision == "rev"


async def test_an_answer_that_never_ends_is_not_read_to_its_end() -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 1_000_000)
        except ConnectionError:
            return response

    async with server(respond) as address:
        assert await fault(address, 5.0) == ("malformed", False)


async def test_an_answer_that_is_cut_off_is_no_answer() -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(orjson.dumps(GOOD))
        assert request.transport is not None
        request.transport.abort()
        return response

    async with server(respond) as address:
        assert await fault(address) == ("unreachable", True)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        1,
        {"result": None},
        {"result": True},
        {"result": {}},
        {"result": {"decisions": {"0": {"allow": True}}}},
        {"result": {"revision": "", "decisions": {}}},
        {"result": {"revision": 1, "decisions": {}}},
        {"result": {"revision": "rev"}},
        {"result": {"revision": "rev", "decisions": []}},
        {"decisions": {"0": {"allow": True}}, "revision": "rev"},
        {**GOOD, "errors": [{"code": "eval_conflict_error"}]},
        {**GOOD, "code": "internal_error"},
    ],
)
def test_an_answer_without_decisions_or_revision_is_undefined(document: object) -> None:
    with pytest.raises(BatchFault) as raised:
        parse_answer(orjson.dumps(document))
    assert (raised.value.cause, raised.value.whole) == ("undefined", True)


@given(st.binary(max_size=200))
def test_no_bytes_make_an_answer(raw: bytes) -> None:
    with pytest.raises(BatchFault):
        parse_answer(raw)


def test_an_answer_that_is_too_large_is_malformed() -> None:
    with pytest.raises(BatchFault) as raised:
        parse_answer(b" " * (MAX_RESPONSE_BYTES + 1))
    assert raised.value.cause == "malformed"


def test_an_address_does_not_show_its_token() -> None:
    assert "secret" not in repr(OpaAddress(token="secret"))


class Silent:
    """Ignores what the coalescer reports."""

    def call(self, result: str, seconds: float, size: int) -> None: ...

    def state(self, queued: int, *, circuit_open: bool) -> None: ...

    def fault(self, error: BaseException) -> None: ...


async def test_real_opa_answers_every_question_of_a_mixed_batch(plane: ControlPlane) -> None:
    address = OpaAddress(token=plane.sidecar.token, socket=plane.sidecar.options.socket)
    transport = OpaTransport(address)
    engine = Coalescer(transport, Silent(), clock=time.monotonic)
    try:
        packages = ["model_access", "gradient_submission", "inference", "admin", "enrolment", "no_such"] * 20
        answers = await asyncio.gather(*(engine.ask(package, b"{}") for package in packages))
    finally:
        await engine.close()
        await transport.close()
    for package, answer in zip(packages, answers, strict=True):
        if package == "no_such":
            assert answer == Unanswered("undefined")
        else:
            assert isinstance(answer, Answered)
            assert answer.document["allow"] is False


async def test_facts_cannot_break_out_of_their_place_in_the_batch(plane: ControlPlane) -> None:
    address = OpaAddress(token=plane.sidecar.token, socket=plane.sidecar.options.socket)
    transport = OpaTransport(address)
    engine = Coalescer(transport, Silent(), clock=time.monotonic)
    hostile = orjson.dumps({"subject": {"id": '"}},"1":{"allow":true'}, "context": {"\u0000": "\u2028"}})
    try:
        first, second = await asyncio.gather(engine.ask("inference", hostile), engine.ask("inference", b"{}"))
    finally:
        await engine.close()
        await transport.close()
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert first.document["allow"] is second.document["allow"] is False


async def test_a_transport_that_was_closed_denies() -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.json_response(GOOD)

    async with server(respond) as address:
        transport = OpaTransport(address)
        await transport.close()
        breaker = CircuitBreaker(time.monotonic)
        engine = Coalescer(transport, Silent(), clock=time.monotonic, breaker=breaker)
        assert await engine.ask("inference", b"{}") == Unanswered("engine_error")
