"""Carry batches to OPA over its REST API, on a Unix socket or TCP.

The `opa-python-client` is used for health and management; here its retries (0.9 s on a policy error) and
missing sockets would cost a deadline.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from controlplane.capabilities.channels import client_context
from controlplane.contracts.policies import PolicyLayer
from controlplane.decisions.engine import BatchAnswer, BatchFault
from controlplane.telemetry.tracing import UNTRACED, Tracing

BATCH_PATH = "/v1/data/combined/batch"
"""The decisions of all layers together, as ``opa/layers.rego`` combines them."""

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_REFUSING = frozenset({401, 403, 429, 502, 503, 504})
"""Statuses with which OPA, or a proxy before it, refuses every question alike."""

_FAULTS = frozenset({"code", "errors"})
"""What OPA's body has where it failed: what stands beside it is no answer, whatever the status."""


@dataclass(frozen=True)
class OpaAddress:
    """Where OPA listens.

    Attributes:
        socket: Unix socket; preferred.
        url: base URL for TCP; ignored with a socket.
        token: bearer token of OPA's own API.
    """

    token: str
    socket: Path | None = None
    url: str = "http://opa.invalid"

    def __repr__(self) -> str:
        return f"OpaAddress(socket={self.socket}, url={self.url!r})"


class OpaTransport:
    """A `BatchTransport` to one OPA, with at most one retry and only when the connection could not be used.

    Args:
        address: where it listens.
        connections: at most.
        layers: those beside the base that must have decided, in order; an OPA that was started for others, or for
            none, answers nothing. None takes what it was started for.
        tracing: tells OPA which span it is asked from.
    """

    def __init__(
        self,
        address: OpaAddress,
        *,
        connections: int = 4,
        layers: Sequence[PolicyLayer] | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        connector: aiohttp.BaseConnector
        if address.socket is not None:
            connector = aiohttp.UnixConnector(path=str(address.socket), limit=connections)
        else:
            connector = aiohttp.TCPConnector(limit=connections, ssl=client_context())
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={
                "Authorization": f"Bearer {address.token}",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
            },
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._url = address.url + BATCH_PATH
        self._layers = None if layers is None else list(layers)
        self._tracing = tracing

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, body: bytes, within: float) -> BatchAnswer:
        """Send a batch; see `BatchTransport.send`. ``within`` is over both attempts."""
        try:
            async with asyncio.timeout(within):
                try:
                    return await self._post(body)
                except aiohttp.ClientConnectionError:
                    return await self._post(body)
        except TimeoutError:
            raise BatchFault("deadline", whole=True) from None
        except (aiohttp.ClientError, OSError):
            raise BatchFault("unreachable", whole=True) from None

    async def _post(self, body: bytes) -> BatchAnswer:
        headers = self._tracing.outgoing()
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            raw = await response.content.read(MAX_RESPONSE_BYTES + 1)
            while not response.content.at_eof() and len(raw) <= MAX_RESPONSE_BYTES:
                raw += await response.content.read(MAX_RESPONSE_BYTES + 1)
            if response.status in _REFUSING:
                raise BatchFault("engine_error", whole=True)
            if response.status != 200:
                raise BatchFault("engine_error", whole=False)
        answer = parse_answer(raw)
        if self._layers is not None and decided_by(answer.revision) != self._layers:
            raise BatchFault("undefined", whole=True)
        return answer


def decided_by(revision: str) -> list[str]:
    """Return the layers beside the base that a revision says decided, or stood in the way."""
    return [part.partition(":")[0] for part in revision.split("+")[1:]]


def parse_answer(raw: bytes) -> BatchAnswer:
    """Read OPA's response.

    OPA answers 200 without ``result`` when a document is undefined or no bundle is active; a missing
    revision means that no verified bundle decides. Both are faults, never an empty permission.

    Raises:
        BatchFault: the response is not an answer.
    """
    if len(raw) > MAX_RESPONSE_BYTES:
        raise BatchFault("malformed", whole=False)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BatchFault("malformed", whole=False) from None
    result = document.get("result") if isinstance(document, dict) else None
    if not isinstance(result, dict) or not _FAULTS.isdisjoint(document):
        raise BatchFault("undefined", whole=True)
    revision, documents = result.get("revision"), result.get("decisions")
    if not isinstance(revision, str) or not revision or not isinstance(documents, dict):
        raise BatchFault("undefined", whole=True)
    return BatchAnswer(documents, revision)
