"""Open the proxy: its parts are started before it listens, and closed after it has listened."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from adapters.gateway.proxy.endpoints import Endpoint, Served
from adapters.gateway.proxy.gate import Gate
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.serving import Serving

HEALTH = "/livez"
"""Path at which the proxy says that it runs. Everybody may ask."""


class Api(Protocol):
    """A way to speak to models: `OpenAi`, `KServe`, `Plain`."""

    def endpoints(self, models: Sequence[Served], limits: Limits) -> list[Endpoint]:
        """Return the endpoints of models."""
        ...


@asynccontextmanager
async def opened(
    parts: Parts, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve for as long as the context is entered, and give the URL.

    Args:
        parts: of the proxy; its enforcement point is started and closed here.
        host: address.
        port: 0 for one that is free.
        tls: how connections are taken; none without TLS.

    Raises:
        OSError: the address cannot be had.
    """
    serving = Serving(Gate(parts), parts.limits)
    try:
        await parts.point.start()
        yield await serving.start(host, port, tls)
    finally:
        await serving.close()
        await parts.point.close()
