"""``Idempotency-Key``: a request that is sent again is answered again, and not carried out again (IETF httpapi draft).

Costs nothing without the header. The first request under a key claims it in the store, so that of twins, also at
two replicas, one works. Its answer is kept sealed; a failure frees the key, for it did nothing. Should the worker die
in between, the key frees itself with its claim; what the requests do is guarded by single-use tokens, ids and
capabilities all the same.
"""

import asyncio
import hashlib
import re
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import structlog
from aiohttp import web

from controlplane.api.problems import ProblemError, problem, too_many, unavailable
from controlplane.api.rates import MachineRate, Rate, RateLimit
from controlplane.api.reading import body_of
from controlplane.capabilities.errors import SealError
from controlplane.capabilities.sealing import Sealer
from controlplane.jose.jws import encode_segment
from controlplane.storage import StoreUnavailable
from controlplane.storage.idempotency import KeptAnswer

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEY_PATTERN = r"^[\x21-\x7e]{1,128}$"

KEPT_SECONDS = 600.0
"""How long an answer is given again."""

CLAIM_SECONDS = 60.0
"""How long a request that is under way keeps its key to itself: longer than anything that one waits for."""

WAIT_SECONDS = 2.0
"""How long a twin waits for the first."""

MOST_BYTES = 128 * 1024
"""The largest answer that is kept, compressed."""

KEYS_A_SECOND = 2.0
KEYS_AT_ONCE = 120.0

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
_KEY = re.compile(KEY_PATTERN)
_log = structlog.get_logger("ztfm.api")

Renew = Callable[[bytes], bytes | None]
"""Given a kept body, returns what may be sent now, or none when it no longer holds."""

Outcome = Literal["first", "replayed", "reused", "in_progress", "gone"]
OUTCOMES: tuple[Outcome, ...] = ("first", "replayed", "reused", "in_progress", "gone")


class Kept(Protocol):
    """Kept answers, shared by all replicas (`storage.idempotency`)."""

    async def claim(self, key: str, request: str, now: float, until: float) -> KeptAnswer | Literal["claimed", "full"]:
        """Take a key, or return what stands under it."""
        ...

    async def keep(self, key: str, until: float, status: int, sealed: bytes | None, expires_at: float) -> bool:
        """Keep the answer under a claimed key."""
        ...

    async def release(self, key: str, until: float) -> None:
        """Give a claimed key back."""
        ...

    async def purge(self, now: float) -> int:
        """Forget what has had its time."""
        ...


class Repeats:
    """Answers requests that are sent again.

    Args:
        kept: where answers are kept.
        sealer: seals them.
        clock: Unix seconds.
        count: counts an outcome.
        timer: seconds that never step back.
        sleep: waits so many seconds.
        rate: how many new keys a caller may use; none for a count of this process's own.
    """

    def __init__(
        self,
        kept: Kept,
        sealer: Sealer,
        clock: Callable[[], float],
        count: Callable[[Outcome], None] = lambda _outcome: None,
        *,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rate: Rate | None = None,
    ) -> None:
        self._kept = kept
        self._sealer = sealer
        self._clock = clock
        self._count = count
        self._timer = timer
        self._sleep = sleep
        self._rate = rate or MachineRate(RateLimit(timer, rate=KEYS_A_SECOND, burst=KEYS_AT_ONCE))

    async def once(
        self,
        request: web.Request,
        caller: str,
        work: Callable[[], Awaitable[web.Response]],
        renew: Renew = lambda body: body,
    ) -> web.Response:
        """Return the answer of ``work``, or the one that the same request got before under its key.

        Args:
            request: what came; its body is read already.
            caller: who is proven to have sent it. A key belongs to its caller alone.
            work: carries the request out.
            renew: looks whether a kept body still holds.

        Raises:
            ProblemError: 400 for a malformed key, 409, 422, 429; 503 when no answer can be kept now.
        """
        sent = request.headers.getall(HEADER, None)
        if sent is None:
            return await work()
        if len(sent) != 1 or not _KEY.fullmatch(sent[0]):
            detail = f"`{HEADER}` has 1 to 128 visible ASCII characters, and comes once."
            raise problem("invalid-request", 400, "A header does not fit", detail)
        wait = await self._rate.take(caller)
        if wait:
            raise too_many(wait)
        key = _digest(caller, sent[0])
        asked = _digest(request.method, request.rel_url.raw_path_qs, body_of(request))
        found = await self._first_or_kept(key, asked)
        if isinstance(found, float):
            return await self._carry_out(key, found, work)
        if found.request != asked:
            raise self._refused("reused", problem("idempotency-key-reused", 422, "Use a new key"))
        if found.status == 0:
            wait_a_second = {"Retry-After": "1"}
            late = problem("idempotency-in-progress", 409, "The first is not answered yet", headers=wait_a_second)
            raise self._refused("in_progress", late)
        return self._again(key, found, renew)

    async def _first_or_kept(self, key: str, asked: str) -> float | KeptAnswer:
        """Return until when the key is claimed for this request, or what stands under it after a short wait."""
        deadline, pause = self._timer() + WAIT_SECONDS, _FIRST_PAUSE
        while True:
            until = self._clock() + CLAIM_SECONDS
            found = await self._claim(key, asked, until)
            if found == "claimed":
                return until
            if found.request != asked or found.status or self._timer() + pause > deadline:
                return found
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _claim(self, key: str, asked: str, until: float) -> KeptAnswer | Literal["claimed"]:
        now = until - CLAIM_SECONDS
        found = await self._kept.claim(key, asked, now, until)
        if found == "full":
            await self._kept.purge(now)
            found = await self._kept.claim(key, asked, now, until)
        if found == "full":
            raise unavailable(f"No further answer can be kept now; try again later, or without `{HEADER}`.")
        return found

    async def _carry_out(self, key: str, until: float, work: Callable[[], Awaitable[web.Response]]) -> web.Response:
        try:
            response = await work()
        except BaseException:
            await self._release(key, until)
            raise
        if response.status >= 300:
            await self._release(key, until)
            return response
        self._count("first")
        sealed = self._seal(key, response)
        try:
            await self._kept.keep(key, until, response.status, sealed, self._clock() + KEPT_SECONDS)
        except StoreUnavailable as error:
            # What was asked is done, so its answer is given; only a repetition will not find it.
            _log.warning("answer_not_kept", error=type(error).__name__)
        return response

    async def _release(self, key: str, until: float) -> None:
        try:
            await self._kept.release(key, until)
        except StoreUnavailable as error:
            _log.warning("key_not_given_back", error=type(error).__name__)

    def _seal(self, key: str, response: web.Response) -> bytes | None:
        body = response.body
        packed = zlib.compress(body, 1) if isinstance(body, bytes) else b""
        return self._sealer.seal(packed, _context(key)) if 0 < len(packed) <= MOST_BYTES else None

    def _again(self, key: str, found: KeptAnswer, renew: Renew) -> web.Response:
        opened = self._open(key, found)
        body = None if opened is None else renew(opened)
        if body is None:
            raise self._refused("gone", problem("idempotency-answer-gone", 409, "It was carried out before"))
        self._count("replayed")
        headers = {"Cache-Control": "no-store", REPLAYED_HEADER: "true"}
        return web.Response(body=body, status=found.status, content_type="application/json", headers=headers)

    def _open(self, key: str, found: KeptAnswer) -> bytes | None:
        try:
            return None if found.sealed is None else zlib.decompress(self._sealer.open(found.sealed, _context(key)))
        except SealError as error:
            _log.error("answer_not_opened", error=str(error))
            return None

    def _refused(self, outcome: Outcome, error: ProblemError) -> ProblemError:
        self._count(outcome)
        return error


def _context(key: str) -> str:
    return f"answer:{key}"


def _digest(*parts: str | bytes) -> str:
    """Return a hash of ``parts`` of any content and length, so that no two sequences of parts meet."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return encode_segment(whole.digest()).decode()
