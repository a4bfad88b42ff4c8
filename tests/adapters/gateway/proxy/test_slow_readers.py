"""Clients that take nothing of what they are sent: they keep neither memory nor a connection."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from adapters.gateway.proxy import Limits
from tests.adapters.gateway.proxy.conftest import PROMPT, Bench, completion, proxying

MUCH = 20_000_000
LIMITS = Limits(stall_seconds=0.5, answer_bytes=2**26, requests_per_subject=1)


@contextmanager
def connected(bench: Bench) -> Iterator[socket.socket]:
    """Give a connection that can take little."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect(("127.0.0.1", bench.port))
        made.setblocking(False)
        yield made


async def is_over(bench: Bench) -> None:
    """Wait until nothing is under way for the subject."""
    async with asyncio.timeout(10):
        while (await bench.call({**PROMPT, "n": 100})).status == 429:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.05)


async def much(_request: web.Request) -> web.StreamResponse:
    """Answer with more than all buffers hold."""
    return web.json_response(completion("w" * MUCH))


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_a_whole_answer_that_is_not_taken_ends_with_its_time_and_its_capability(is_revoked: bool) -> None:
    async with proxying(limits=replace(LIMITS, stall_seconds=30.0 if is_revoked else 0.5)) as bench:
        bench.model.answer, token = much, bench.mint()
        stream = await bench.stream(PROMPT, token=token)
        if is_revoked:
            bench.known.revoke("capability", bench.claims(token).jti)
        await is_over(bench)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await stream.reader.readexactly(int(stream.headers["content-length"]))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel has no such option")
async def test_refusals_that_nobody_takes_are_given_up() -> None:
    async with proxying(limits=LIMITS) as bench:
        asked = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        with connected(bench) as made, pytest.raises(ConnectionError):
            async with asyncio.timeout(20):
                while True:
                    await asyncio.get_running_loop().sock_sendall(made, asked * 100)
