"""Envoy's external authorisation over gRPC (``envoy.service.auth.v3.Authorization/Check``), answered offline.

Needs the extra ``envoy``. The method, path and headers are those that Envoy saw, and come over its own connection:
nothing that a client sends can pretend to be them. Whoever reaches the port can ask for anybody, but learns only what
a capability and its proof say; let it listen on loopback or on a Unix socket all the same.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ssl import PEM_cert_to_DER_cert
from typing import Any, Final
from urllib.parse import unquote

import grpc

from adapters.gateway.authorizing import Answer, Authorizer
from adapters.gateway.envoy_messages import METHOD, SERVICE, CheckRequest, CheckResponse
from adapters.gateway.passing import REMOVED_HEADERS
from adapters.web.answering import Refusal, crooked
from adapters.web.presented import Asked
from controlplane.capabilities.certificates import PeerCertificate, read_certificate

MAX_BYTES: Final = 256 * 1024
"""Of one question. Envoy takes headers of 60 KiB by default, and is not to send bodies along."""

MAX_UNANSWERED: Final = 1024
"""Questions at a time; Envoy is told of more that there is no room, and lets none of them through."""

_OVERWRITE = 2
_PERMISSION_DENIED, _UNAVAILABLE, _UNAUTHENTICATED = 7, 14, 16
_CODES: Mapping[int, int] = {401: _UNAUTHENTICATED, 503: _UNAVAILABLE}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_UNSIZED: Mapping[str, Sequence[str]] = {"transfer-encoding": ("unknown",)}


class EnvoyAuthorizer:
    """Answers Envoy on an address. Belongs to one event loop.

    Args:
        authorizer: decides; what is behind it is started and closed by its owner.
        takes_certificates: Envoy terminates TLS and tells of the client's certificate (``include_peer_certificate``).
        credentials: of a TLS listener; none for plain HTTP/2, on loopback or a Unix socket alone.
        clock: Unix seconds.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        *,
        takes_certificates: bool = False,
        credentials: grpc.ServerCredentials | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authorizer = authorizer
        self._takes_certificates = takes_certificates
        self._credentials = credentials
        self._clock = clock
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> str:
        """Listen, and return the address with the port that was taken.

        Args:
            address: ``127.0.0.1:9191``, with 0 for any port that is free, or ``unix:/run/ztfm/envoy.sock``.

        Raises:
            ValueError: it could be reached from outside, and nothing protects the connection.
            RuntimeError: the address cannot be had.
        """
        if self._credentials is None and not _is_local(address):
            raise ValueError(f"{address} is neither loopback nor a Unix socket; without TLS it listens on no other")
        handler = grpc.unary_unary_rpc_method_handler(
            self._check,
            request_deserializer=CheckRequest.FromString,
            response_serializer=CheckResponse.SerializeToString,
        )
        self._server = server = grpc.aio.server(
            handlers=[grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})],
            options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=MAX_UNANSWERED,
        )
        secured = self._credentials
        # A Unix socket is open to its owner and group.
        before = os.umask(0o117)
        try:
            port = server.add_secure_port(address, secured) if secured else server.add_insecure_port(address)
        finally:
            os.umask(before)
        await server.start()
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Take no more questions, and answer those that are under way."""
        if self._server is not None:
            await self._server.stop(grace_seconds)

    async def _check(self, question: Any, _context: object) -> Any:
        now = self._clock() if self._takes_certificates else None
        return answer_of(await self._authorizer.authorize(asked_of(question, now)))


def asked_of(question: Any, now: float | None) -> Asked | Refusal:
    """Return the request that Envoy asks about, or why there is none.

    Args:
        question: a ``CheckRequest``.
        now: Unix seconds; a client certificate that has expired is none. None takes no certificate.
    """
    http = question.attributes.request.http
    if not http.path.startswith("/") or "#" in http.path:
        return crooked()
    headers: dict[str, Sequence[str]] = {}
    # Envoy fills one of the two; where both are, each value counts, so that a name that is in both is ambiguous.
    sent = [(pair.key, pair.value) for pair in http.headers]
    sent += [(pair.key, pair.raw_value.decode("latin-1")) for pair in http.header_map.headers]
    for name, value in sent:
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    if http.method not in _BODILESS and "content-length" not in headers:
        # Envoy takes Transfer-Encoding away before it asks, and over HTTP/2 a body may come without either.
        headers = {**headers, **_UNSIZED}
    certificate = None if now is None else _read(question.attributes.source.certificate)
    is_current = certificate is not None and now is not None and certificate.expires_at > now
    thumbprint = certificate.thumbprint if certificate is not None and is_current else None
    path, _, query = http.path.partition("?")
    return Asked(http.method, path, headers, thumbprint, len(query))


def answer_of(answer: Answer) -> Any:
    """Return an answer as a ``CheckResponse``. Envoy lets an empty one pass, so a denial always has its code."""
    response = CheckResponse()
    if not answer.is_allowed:
        response.status.code = _CODES.get(answer.status, _PERMISSION_DENIED)
        response.denied_response.status.code = answer.status
        response.denied_response.body = answer.body.decode()
        _fill(response.denied_response.headers, answer.headers)
        return response
    # Where there is nothing to say under one of our names, what the client sent under it goes.
    _fill(response.ok_response.headers, {name: value for name, value in answer.headers.items() if value})
    empty = (name for name, value in answer.headers.items() if not value)
    response.ok_response.headers_to_remove.extend(name.lower() for name in (*REMOVED_HEADERS, *empty))
    response.status.code = 0
    return response


def _fill(options: Any, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        option = options.add(append_action=_OVERWRITE)
        option.header.key, option.header.value = name.lower(), value


@lru_cache(1024)
def _read(certificate: str) -> PeerCertificate | None:
    """Return what a certificate says, in PEM that is URL-encoded, as Envoy tells of it."""
    try:
        return read_certificate(PEM_cert_to_DER_cert(unquote(certificate, errors="strict"))) if certificate else None
    except ValueError:
        return None


def _is_local(address: str) -> bool:
    return address.startswith(("unix:", "127.", "localhost:", "[::1]:"))
