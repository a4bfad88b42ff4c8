"""A log that another control plane keeps, read over HTTP: for other organisations, and for whoever wants to check."""

from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from controlplane.identifiers.shown import ShownRecords
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable
from controlplane.identity.ledgers.log import LogReader
from controlplane.transparency.checkpoints import Quorum
from controlplane.transparency.proofs import ConsistencyProof, LogKeys

ANSWER_SECONDS = 10.0
MOST_BYTES = 4 * 1024 * 1024
"""Of one answer: 64 records of 8 kB and their proofs, with room to spare."""

Answer = TypeVar("Answer", bound=BaseModel)


class HttpSource:
    """Asks a control plane for its log. An asynchronous context; bounded, and follows no redirect.

    Args:
        url: of the control plane.
        seconds: how long one answer may take.
    """

    def __init__(self, url: str, seconds: float = ANSWER_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def records(self, start: int, limit: int) -> ShownRecords:
        """Return up to ``limit`` records from a number on, under the latest head; nothing of it is verified here."""
        return await self._get(f"/v1/identity/records?after={start}&limit={limit}", ShownRecords)

    async def growth(self, earlier: int, later: int) -> ConsistencyProof:
        """Return the proof that the log only grew; it is not verified here."""
        return await self._get(f"/v1/log/consistency?from={earlier}&to={later}", ConsistencyProof)

    async def keys(self) -> LogKeys:
        """Return the log's keys as it states them itself: to be compared with what was known before."""
        return await self._get("/v1/log/keys", LogKeys)

    async def _get(self, path: str, kind: type[Answer]) -> Answer:
        if self._session is None:
            raise LedgerUnavailable("it is not asked before it is entered")
        try:
            async with self._session.get(self._url + path, allow_redirects=False) as answer:
                raw = await _bounded(answer)
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise LedgerUnavailable(f"{self._url} does not answer ({type(error).__name__})") from None
        if status != 200:
            raise LedgerUnavailable(f"{self._url}{path} answered {status}")
        try:
            return kind.model_validate_json(raw)
        except ValidationError as error:
            raise LedgerLied(f"{self._url}{path} answered what is none: {error.errors()[0]['msg']}") from None


class HttpLogLedger(LogReader):
    """The log of another control plane as a ledger that can be read.

    Args:
        source: asks that control plane.
        quorum: whose signatures make a head believable; known beforehand, and not from there.
    """

    def __init__(self, source: HttpSource, quorum: Quorum) -> None:
        super().__init__(source, quorum)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        found += chunk
        if len(found) > MOST_BYTES:
            raise LedgerUnavailable(f"{answer.url.host} answers with more than {MOST_BYTES} bytes")
    return bytes(found)
