"""How the control plane is called: each request proven with the caller's key, each answer checked."""

import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self, TypedDict, Unpack
from urllib.parse import quote

from adapters.errors import ControlPlaneError, TimedOut, Unavailable, Unreachable
from adapters.proving import Prover
from adapters.serversent import ServerEvent
from adapters.transport import CONNECT_SECONDS, TOTAL_SECONDS, HttpAnswer, Transport, read_bounded, read_events
from adapters.wire import MAX_ANSWER_BYTES, clock_hint, read_problem, write_body
from controlplane.contracts.base import StrictModel
from controlplane.jose.keys import DeviceKey

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_NONE: Mapping[str, str] = MappingProxyType({})


class CallOptions(TypedDict, total=False):
    """How the control plane is reached; each may be left out.

    Attributes:
        timeout_seconds: from asking to the whole answer, a second try included (10).
        connect_seconds: for a connection to be made (5).
        tls: how a TLS connection is verified, and with which client certificate it is made (mutual TLS); none for
            the system's authorities.
        socket: Unix socket of the control plane; the URL stays what proofs name.
        proofs: send a proof of the key with each request (true); without, the client certificate of ``tls`` says who
            asks (`adapters.mutual`).
        clock: Unix seconds.
    """

    timeout_seconds: float
    connect_seconds: float
    tls: ssl.SSLContext | None
    socket: Path | None
    proofs: bool
    clock: Callable[[], float]


class Calls:
    """Calls the control plane at ``url`` as the holder of ``key``. An asynchronous context manager.

    Every request that says who asks carries a fresh DPoP proof (RFC 9449), with the newest nonce that the control
    plane gave. Nothing is asked twice, but once more when no connection could be made, with the nonce that was asked
    for, or for an answer that got lost where the control plane knows that it is the same request.

    Args:
        url: the control plane's public URL, exactly as it calls itself: proofs name it.
        key: the caller's key.
        options: see `CallOptions`.

    Raises:
        ValueError: a time is not above zero, or both ``tls`` and ``socket`` are given.
    """

    def __init__(self, url: str, key: DeviceKey, **options: Unpack[CallOptions]) -> None:
        self.url = url.rstrip("/")
        self.clock = options.get("clock", time.time)
        self._prover = Prover(key, self.clock)
        self._proofs = options.get("proofs", True)
        self._transport = Transport(
            options.get("timeout_seconds", TOTAL_SECONDS),
            options.get("connect_seconds", CONNECT_SECONDS),
            options.get("tls"),
            options.get("socket"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the connections."""
        await self._transport.close()

    async def _post(self, path: str, body: StrictModel) -> bytes:
        return (await self._ask("POST", path, write_body(body), welcome=(200, 201))).body

    async def _post_once(self, path: str, body: StrictModel) -> bytes:
        """Post something that must not be done twice, under a key of its own: a lost answer is asked for once more."""
        key = {"Idempotency-Key": secrets.token_urlsafe(16)}
        content = write_body(body)
        try:
            return (await self._ask("POST", path, content, headers=key, welcome=(200, 201))).body
        except Unavailable as error:
            if error.status or isinstance(error, TimedOut | Unreachable):
                raise
            return (await self._ask("POST", path, content, headers=key, welcome=(200, 201))).body

    async def _get(self, path: str) -> bytes:
        return (await self._ask("GET", path)).body

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        media_type: str = JSON,
        headers: Mapping[str, str] = _NONE,
        is_proven: bool = True,
        welcome: tuple[int, ...] = (200,),
        more_seconds: float = 0.0,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpAnswer:
        """Return an answer with a welcome status.

        Raises:
            ControlPlaneError: any of `adapters.errors`.
        """
        url, is_proven = self.url + path, is_proven and self._proofs
        sent = {**headers} if body is None else {"Content-Type": media_type, **headers}
        used = self._prover.nonce

        async def _send() -> HttpAnswer:
            return await self._transport.send(
                method,
                url,
                body,
                lambda: self._headers(method, url, is_proven, sent),
                more_seconds=more_seconds,
                most_bytes=most_bytes,
            )

        answer = await _send()
        if self._prover.learn(used, answer.status, answer.headers, answer.body) and is_proven:
            answer = await _send()
            self._prover.learn(None, 0, answer.headers)
        if answer.status not in welcome:
            raise self._refusal(answer.status, answer.headers, answer.body, url)
        return answer

    @asynccontextmanager
    async def _stream(self, path: str, sent: dict[str, str]) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        url = self.url + path
        for _ in range(2):
            used = self._prover.nonce
            headers = self._headers("GET", url, self._proofs, {"Accept": "text/event-stream", **sent})
            async with self._transport.stream(url, headers) as answer:
                if answer.status == 200:
                    self._prover.learn(None, 0, answer.headers)
                    yield read_events(answer)
                    return
                body = await read_bounded(answer)
                if not self._prover.learn(used, answer.status, answer.headers, body):
                    raise self._refusal(answer.status, answer.headers, body, url)
        raise Unavailable("the control plane asks for one nonce after the other")

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> ControlPlaneError:
        """Return the error of an answer. Why a proof does not hold nobody is told, so this side says what it sees."""
        hint = ""
        if status == 401:
            hint = " ".join(filter(None, [f"Asked at {url}.", clock_hint(headers.get("Date", ""), self.clock())]))
        return read_problem(status, body, headers.get("Retry-After", ""), hint)

    def _headers(self, method: str, url: str, is_proven: bool, sent: dict[str, str]) -> dict[str, str]:
        return {"DPoP": self._prover.prove(method, url), **sent} if is_proven else sent


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")
