"""A federated job over HTTP: a server for as long as it runs."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from adapters.guard import Guard
from adapters.http.desk import HttpDesk
from adapters.http.routes import Routes
from adapters.http.serving import listening_at, serving
from adapters.http.signing import SignatureVerifier
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception
from adapters.jobs.running import Ended, FederatedJob
from controlplane.capabilities.targets import normal_target
from controlplane.confidentiality.hpke import PrivateReleaseKey

__all__ = ["Ended", "Federation"]


class Federation(FederatedJob):
    """Runs a job's rounds for clients that speak HTTP. One client never stops it.

    Args:
        guard: as `FederatedJob`; reception and folder likewise.
        host: where to listen.
        port: the same; 0 for any that is free.
        public_url: how clients reach this server, which their signatures name; none for where it listens.
        on_listening: told the public URL once clients can come.
        update_key: to whose public half updates may be sealed, as this aggregator's evidence binds it; none where they
            come in the clear alone.
        tls: how TLS connections are taken (`controlplane.capabilities.channels.server_context`); none takes plain ones.
        options: the other arguments of `FederatedJob`.

    Raises:
        ValueError: the public URL is none.
    """

    makes_sums = True

    def __init__(
        self,
        guard: Guard,
        reception: Reception,
        folder: JobFolder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str | None = None,
        on_listening: Callable[[str], None] = lambda _url: None,
        update_key: PrivateReleaseKey | None = None,
        tls: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        super().__init__(guard, reception, folder, **options)
        if public_url is not None and (normal_target(public_url) is None or "?" in public_url or "#" in public_url):
            raise ValueError(f"{public_url!r} is no absolute URL")
        self._address = host, port
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._on_listening = on_listening
        self._update_key = update_key
        self._tls = tls

    def _opened_desk(self) -> HttpDesk:
        self._http = HttpDesk(SignatureVerifier(self._clock), self._guard, self._reception, self._bounds, self._members)
        self._http.update_key = self._update_key
        return self._http

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        bound: socket.socket = listening_at(*self._address)
        scheme = "http" if self._tls is None else "https"
        self._http.public_url = self._public_url or _url_of(scheme, bound.getsockname())
        async with serving(Routes(self._http).application(), bound, self._bounds.connections, self._tls):
            yield

    def _ready(self) -> None:
        self._on_listening(self._http.public_url)


def _url_of(scheme: str, address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[0], address[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
