"""Whatever is sent to the proxy, and however it ends, the model is asked for nothing that no budget paid for.

Here the budgets are leased from a real store, as a gateway does.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.gateway.interfaces import Terms
from adapters.gateway.leasing import Leasing
from adapters.gateway.proxy import KServe, OpenAi, Plain
from adapters.gateway.proxy.opening import Api
from controlplane.contracts.budgets import Amounts
from controlplane.storage import Store, open_store
from tests.adapters.gateway.lessor import StoredLessor
from tests.adapters.gateway.proxy.conftest import (
    CHAT,
    DONE,
    MODEL,
    PROMPT,
    USAGE,
    Bench,
    Stream,
    chunk,
    completion,
    proxying,
    streamed,
)
from tests.controlplane.storage.conftest import NOW

PATHS = {
    CHAT: PROMPT,
    "/v1/completions": {"model": MODEL, "prompt": "on"},
    "/v1/embeddings": {"model": MODEL, "input": "on"},
    "/v1/models": None,
    f"/v2/models/{MODEL}/infer": {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.5]}]},
    f"/v2/models/{MODEL}": None,
    f"/v2/models/{MODEL}/ready": None,
    "/v2": None,
    "/predict": {"text": "on"},
    "/about": None,
    "/": None,
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PURGE")
SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda path: path,
    lambda path: path + "/",
    lambda path: "/" + path,
    lambda path: path + "?x=1",
    lambda path: path + "%2f",
    lambda path: "/." + path,
    lambda path: path.replace("v1", "V1"),
    lambda path: path.replace("/v", "/%76", 1),
    lambda path: path + ";x",
    lambda path: "http://127.0.0.1" + path,
)
HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("Expect", "100-continue"),),
    (("Connection", "Upgrade"), ("Upgrade", "websocket")),
    (("Connection", "close, authorization"),),
    (("X-HTTP-Method-Override", "POST"),),
    (("X-Original-URL", CHAT),),
    (("Accept", "text/event-stream"),),
    (("Content-Encoding", "gzip"),),
)


@dataclass
class Counted:
    """A proxy whose budgets are in a store."""

    bench: Bench
    store: Store
    leasing: Leasing
    lessor: StoredLessor

    async def totals(self) -> Amounts:
        """Return what was used, once everything was given back; nothing may be held then."""
        await self.leasing.close()
        standings = await self.store.budgets.page(NOW, "segment")
        assert all(one.leased == Amounts(requests=0, tokens=0) for one in standings)
        return standings[0].used if standings else Amounts(requests=0, tokens=0)


@asynccontextmanager
async def counted(
    folder: Path, api: Api | None = None, part: tuple[int, int] = (8, 4000), limit: tuple[int, int] = (10**6, 10**9)
) -> AsyncIterator[Counted]:
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'ztfm.db'}")
    lessor = StoredLessor(store.budgets, part=part, limit=limit)
    leasing = Leasing(lessor, clock=lambda: NOW)
    try:
        async with leasing, proxying(api, budgets=leasing) as bench:
            yield Counted(bench, store, leasing, lessor)
    finally:
        await store.close()


APIS: dict[str, Callable[[], Api]] = {
    "openai": OpenAi,
    "kserve": KServe,
    "plain": lambda: Plain(["POST /predict", "GET /about"]),
}


async def sent(bench: Bench, chance: random.Random) -> None:
    """Send something that a caller with a capability for the model may think of, and wait for whatever comes."""
    path = chance.choice([*PATHS, *(one.rule.path or "/" for one in bench.parts.endpoints.values())] * 2)
    body, method = PATHS.get(path), chance.choice(METHODS)
    if chance.random() < 0.6:
        method = "GET" if body is None else "POST"
    spelled = chance.choice(SPELLINGS)(path) if chance.random() < 0.5 else path
    headers = chance.choice(HEADERS) if chance.random() < 0.5 else ()
    content = b"" if body is None else json.dumps(body).encode()
    shown = bench.shown(bench.mint(), method, path)
    with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
        # Some of these are never answered; going away is one way of ending.
        async with asyncio.timeout(0.5):
            stream = await bench.send(
                method, spelled, [*shown, ("Content-Type", "application/json"), *headers], content
            )
            await finished(stream, chance)


async def finished(stream: Stream, chance: random.Random) -> None:
    """Read an answer to its end, or go away in the middle."""
    if chance.random() < 0.7 and "chunked" in stream.headers.get("transfer-encoding", ""):
        await stream.rest()
    stream.close()


async def about(_request: web.Request) -> web.StreamResponse:
    """An answer that fits every API."""
    return web.json_response({**completion("on"), "outputs": []})


@pytest.mark.parametrize("name", list(APIS))
async def test_without_a_budget_nothing_reaches_the_model_by_any_path_method_or_spelling(
    tmp_path: Path, name: str
) -> None:
    async with counted(tmp_path, APIS[name](), limit=(0, 0)) as found:
        chance = random.Random(name)
        for _ in range(60):
            await sent(found.bench, chance)
        assert found.bench.model.seen == []
        # They did get as far as the budgets.
        assert found.lessor.asked > 0
        assert await found.totals() == Amounts(requests=0, tokens=0)


@pytest.mark.parametrize("name", list(APIS))
async def test_each_request_that_reaches_the_model_is_one_of_the_budgets(tmp_path: Path, name: str) -> None:
    async with counted(tmp_path, APIS[name]()) as found:
        found.bench.model.answer = about
        chance = random.Random(name)
        for _ in range(60):
            await sent(found.bench, chance)
        asked = len(found.bench.model.seen)
        assert asked > 5
        assert (await found.totals()).requests >= asked


async def _broken(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(chunk("on"))
    raise ConnectionResetError


async def _streamed(request: web.Request) -> web.StreamResponse:
    return await streamed(request, [*[chunk("on")] * 3, USAGE, DONE])


async def _long(request: web.Request) -> web.StreamResponse:
    return await streamed(request, [chunk("on")] * 60)


async def _failed(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no"}}, status=500)


async def _whole(_request: web.Request) -> web.StreamResponse:
    return web.json_response(completion("on", 5, 3))


ENDS: tuple[Callable[[web.Request], Awaitable[web.StreamResponse]], ...] = (
    _broken,
    _streamed,
    _long,
    _failed,
    _whole,
)


async def test_however_exchanges_end_at_once_no_more_is_spent_than_there_is(tmp_path: Path) -> None:
    limit = (100, 6_000)
    async with counted(tmp_path, part=(3, 700), limit=limit) as found:
        bench, most = found.bench, [0]

        async def answer(request: web.Request) -> web.StreamResponse:
            taken = await found.store.budgets.taken({"model": MODEL}, NOW)
            most[0] = max(most[0], *(amounts.tokens for amounts in taken.values()))
            return await random.Random(len(bench.model.seen)).choice(ENDS)(request)

        bench.model.answer = answer

        async def caller(number: int) -> None:
            chance = random.Random(number)
            for _ in range(8):
                body: dict[str, Any] = {**PROMPT, "stream": chance.random() < 0.6}
                if chance.random() < 0.2:
                    body["messages"] = [{"role": "user", "content": "forbidden"}]
                token = bench.mint()
                if chance.random() < 0.1:
                    bench.known.revoke("capability", bench.claims(token).jti)
                with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                    async with asyncio.timeout(5):
                        await finished(await bench.stream(body, token=token), chance)

        bench.judge.terms = Terms("dec-content")
        await asyncio.gather(*map(caller, range(6)))
        used = await found.totals()
        assert len(bench.model.seen) <= used.requests <= limit[0]
        assert 0 < used.tokens <= limit[1]
        assert 0 < most[0] <= limit[1]
