"""Serve ``/v1/gateway/authorize`` to the proxy beside it, on a Unix socket, on loopback, or by mutual TLS."""

import logging
import os
import ssl
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from adapters.gateway.authorizing import Answer, Authorizer
from adapters.gateway.dialects import Dialect, SubRequest

PATH: Final = "/v1/gateway/authorize"

_MAX_FIELD_BYTES = 32_768
_KEEPALIVE_SECONDS = 75.0

_log = logging.getLogger("ztfm.authorizer")


@dataclass(frozen=True)
class Question:
    """How questions are read.

    Attributes:
        dialect: of the one proxy that asks. It is configuration: no request chooses it.
        takes_certificates: the proxy terminates TLS and overwrites what clients say of certificates.
        largest_body: the most that the proxy lets through, for a dialect that says no length.
    """

    dialect: Dialect
    takes_certificates: bool = False
    largest_body: int | None = None

    def __post_init__(self) -> None:
        if self.takes_certificates and self.dialect.certified is None:
            raise ValueError(f"{self.dialect.name} does not hand on client certificates; take proofs of keys (DPoP)")
        if not self.dialect.states_body and self.largest_body is None:
            raise ValueError(
                f"{self.dialect.name} does not say how large bodies are: let it refuse those above a bound, and say "
                "which (--largest-body)"
            )


class Service:
    """Answers a proxy.

    Args:
        authorizer: decides.
        question: how it is asked.
        clock: Unix seconds.
    """

    def __init__(self, authorizer: Authorizer, question: Question, clock: Callable[[], float]) -> None:
        self._authorizer = authorizer
        self._question = question
        self._clock = clock

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        target = _behind(request.raw_path)
        if target is None:
            return web.Response(status=404, text=f"Ask at {PATH}.\n")
        sub = SubRequest(request.method, target, _headers(request))
        question = self._question
        asked = question.dialect.asked(
            sub,
            self._clock(),
            takes_certificates=question.takes_certificates,
            largest_body=question.largest_body,
        )
        return _response(question.dialect.answered(await self._authorizer.authorize(asked)))


@asynccontextmanager
async def serving(
    service: Service,
    *,
    socket: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve for as long as the block lasts, and give the address: ``unix:PATH`` or a URL.

    Args:
        service: answers.
        socket: path of a Unix socket, open to its owner and group. One that is left over is replaced.
        host: address, where there is no socket.
        port: 0 for one that is free.
        tls: how connections are taken.

    Raises:
        OSError: the address cannot be had.
    """
    server = web.Server(
        service.answer,
        access_log=None,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        max_line_size=_MAX_FIELD_BYTES,
        max_field_size=_MAX_FIELD_BYTES,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        if socket is not None:
            _make_way(socket)
            before = os.umask(0o117)
            try:
                await web.UnixSite(runner, socket, ssl_context=tls).start()
            finally:
                os.umask(before)
            yield f"unix:{socket}"
        else:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
            bound = runner.addresses[0]
            name = f"[{host}]" if ":" in host else host
            yield f"{'http' if tls is None else 'https'}://{name}:{bound[1]}"
    finally:
        await runner.cleanup()
        if socket is not None:
            _make_way(socket)


def _behind(raw: str) -> str | None:
    """Return what follows the path that questions go to; none for another path."""
    if not raw.startswith(PATH):
        return None
    rest = raw[len(PATH) :]
    return rest if rest[:1] in ("", "/", "?") else None


def _headers(request: web.BaseRequest) -> Mapping[str, Sequence[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _response(answer: Answer) -> web.Response:
    # Some proxies hand on all of them: no versions.
    return web.Response(status=answer.status, body=answer.body, headers={"Server": "ztfm", **answer.headers})


def _make_way(socket: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(socket.lstat().st_mode):
            raise FileExistsError(f"{socket} is there and is no socket; name another path or remove it")
        socket.unlink()
