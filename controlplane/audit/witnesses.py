"""Witnesses over HTTP (c2sp.org/tlog-witness): they are shown each head, and how the log grew since the last one."""

import base64
import re
from types import TracebackType
from typing import Self

import aiohttp

from controlplane.audit.heads import Prove, WitnessAhead, WitnessRefused, WitnessUnavailable, parse_cosignature
from controlplane.transparency.notes import Note, Signature, Verifier

ANSWER_SECONDS = 5.0
_MOST_ANSWER = 8192
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})\n?")


class HttpWitness:
    """A witness that answers at a URL. An asynchronous context.

    Args:
        verifier: its key, of kind ``cosignature``.
        url: where it answers; ``/add-checkpoint`` is put after it.
    """

    def __init__(self, verifier: Verifier, url: str) -> None:
        if verifier.kind != "cosignature":
            raise ValueError(f"the key of {verifier.name} signs notes, not what a witness signs")
        self._verifier = verifier
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._seen = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def verifier(self) -> Verifier:
        """Verifies its cosignatures."""
        return self._verifier

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def cosign(self, note: Note, size: int, prove: Prove) -> Signature:
        """Return its cosignature of a head of ``size`` entries.

        Raises:
            WitnessUnavailable: it does not answer, or not as a witness does.
            WitnessAhead: it saw more entries than this head has.
            WitnessRefused: it saw another history of this log.
        """
        for _ in range(2):
            if self._seen > size:
                raise WitnessAhead(self._seen)
            shown = self._seen
            proof = await prove(shown, size) if 0 < shown < size else []
            status, body = await self._post(_request(shown, proof, note))
            if status == 200:
                signature = parse_cosignature(body, self._verifier)
                self._seen = size
                return signature
            if status != 409:
                raise _refusal(status, body)
            self._seen = _size_of(body)
            if self._seen == shown:
                raise WitnessRefused(f"it saw other entries among the {shown} that both know")
        raise WitnessUnavailable("others make the log grow faster than it is shown how")

    async def _post(self, body: bytes) -> tuple[int, str]:
        if self._session is None:
            raise WitnessUnavailable("it is not asked before the control plane serves")
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as answer:
                raw = await answer.content.read(_MOST_ANSWER)
                return answer.status, raw.decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise WitnessUnavailable(f"{self._url} does not answer ({type(error).__name__})") from None


def _request(seen: int, proof: list[bytes], note: Note) -> bytes:
    lines = [f"old {seen}", *(base64.b64encode(one).decode() for one in proof), ""]
    return ("\n".join(lines) + "\n" + str(note)).encode()


def _refusal(status: int, body: str) -> WitnessRefused | WitnessUnavailable:
    said = " ".join(body.split())[:300]
    if status == 422:
        return WitnessRefused(said or "the head does not add to what it saw")
    if status in {403, 404}:
        return WitnessUnavailable(f"it does not know this log or its key ({status}): give it the log's verifier key")
    return WitnessUnavailable(f"it answered {status}: {said}")


def _size_of(body: str) -> int:
    found = _SIZE.fullmatch(body)
    if found is None:
        raise WitnessUnavailable("it names no size that it has seen")
    return int(found[1])
