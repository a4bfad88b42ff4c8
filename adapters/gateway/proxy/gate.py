"""Who may come in, what becomes of it, and what is said when it comes to nothing."""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Literal

from aiohttp import HttpVersion11, web

from adapters.gateway.proxy.client import Client, refusal, whole
from adapters.gateway.proxy.cutting import Scope, Watch
from adapters.gateway.proxy.documents import written
from adapters.gateway.proxy.endpoints import Endpoint
from adapters.gateway.proxy.exchange import Exchange
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.refusing import Refused, busy, crowded, late, outdated, unfit, unshaped, unsupported
from adapters.gateway.proxy.shaping import Unshapable
from adapters.web.admission import Admitted, Exempt
from adapters.web.aiohttp import asked_by
from adapters.web.answering import Refusal

if TYPE_CHECKING:
    from adapters.gateway.metrics import Exchange as Measured

Cut = Literal["revoked", "expired", "content", "budget", "revocations_unknown"]

_log = logging.getLogger("ztfm.proxy")


class Gate:
    """Answers requests. Belongs to one event loop.

    Args:
        parts: of the proxy.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watch = Watch(parts.point, parts.limits.watch_seconds)
        self._by_subject: Counter[str] = Counter()
        self._under_way = 0

    async def close(self) -> None:
        """Cut what is under way, and give back the connections."""
        await self._watch.close()
        await self._parts.upstream.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to a request. Whatever goes wrong, nothing is let through."""
        try:
            return await self._admitted(request)
        except Refused as refused:
            return refusal(refused.answer)
        except ConnectionError:
            # The client is gone, and what ran for it has ended; this is said to nobody.
            return refusal(busy("client_gone").answer)
        except Exception:  # noqa: BLE001 - logged, and nothing is let through
            _log.exception("an unexpected fault; nothing is let through")
            return refusal(busy("fault").answer)

    async def _admitted(self, request: web.BaseRequest) -> web.StreamResponse:
        _require_plain(request)
        verdict = await self._parts.point.check(asked_by(request, self._parts.point))
        if isinstance(verdict, Refusal):
            return refusal(verdict)
        if isinstance(verdict, Exempt):
            return whole(200, {"Content-Type": "text/plain", "Cache-Control": "no-store"}, b"ok\n")
        endpoint = self._parts.endpoints[verdict.rule]
        if endpoint.own is not None:
            return whole(200, {"Content-Type": "application/json", "Cache-Control": "no-store"}, written(endpoint.own))
        limits = self._parts.limits
        if self._under_way >= limits.requests:
            raise busy("too_many_requests")
        if self._by_subject[verdict.subject] >= limits.requests_per_subject:
            raise crowded()
        self._under_way += 1
        self._by_subject[verdict.subject] += 1
        try:
            return await self._exchanged(request, endpoint, verdict)
        finally:
            self._under_way -= 1
            self._by_subject[verdict.subject] -= 1
            if not self._by_subject[verdict.subject]:
                del self._by_subject[verdict.subject]

    async def _exchanged(self, request: web.BaseRequest, endpoint: Endpoint, admitted: Admitted) -> web.StreamResponse:
        parts, client = self._parts, Client(request, self._parts.limits.stall_seconds)
        metrics = parts.metrics
        measured = metrics.began(endpoint.operation, endpoint.served.name) if metrics is not None else None
        exchange = Exchange(parts, endpoint, admitted, request, client, measured)
        try:
            answer = await self._bounded(exchange, admitted)
        except (Refused, Unshapable) as error:
            refused = error if isinstance(error, Refused) else unshaped()
            _ended(measured, exchange, refused)
            return await self._given_up(client, refused)
        except BaseException as error:
            gone = isinstance(error, (ConnectionError, asyncio.CancelledError))
            _ended(measured, exchange, None if gone else busy("fault"), is_gone=gone)
            if client.is_answered:
                # No second answer may be written into the first.
                client.abort()
            raise
        _ended(measured, exchange, None)
        return answer

    async def _bounded(self, exchange: Exchange, admitted: Admitted) -> web.StreamResponse:
        """Run an exchange within its time, for as long as its capability holds."""
        try:
            async with asyncio.timeout(self._parts.limits.total_seconds), Scope() as scope:
                self._watch.add(scope, admitted)
                try:
                    return await exchange.run(scope)
                finally:
                    self._watch.remove(scope)
        except TimeoutError:
            raise late() from None

    async def _given_up(self, client: Client, refused: Refused) -> web.StreamResponse:
        _log.info("refused or cut: %d, %s", refused.answer.status, refused.answer.cause)
        if not client.is_answered:
            return refusal(refused.answer)
        word = _cut_word(refused)
        if self._parts.metrics is not None and word is not None:
            self._parts.metrics.cut(word)
        return await client.cut(refused.answer)


def _require_plain(request: web.BaseRequest) -> None:
    """Refuse what would make of a request something else than it says.

    Raises:
        Refused: it asks for another protocol, is compressed, or expects what is not known.
    """
    headers = request.headers
    if request.version < HttpVersion11:
        raise outdated()
    if "Upgrade" in headers or request.method == "CONNECT":
        raise unfit("No other protocol is spoken here: send the request without Upgrade.", "upgrade")
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise unsupported("A compressed body cannot be looked into: send it as it is.")
    if headers.get("Expect", "100-continue").lower() != "100-continue":
        raise unfit("The header Expect is 100-continue, or is left out.", "expect")


def _ended(measured: "Measured | None", exchange: Exchange, refused: Refused | None, *, is_gone: bool = False) -> None:
    if measured is None:
        return
    tally = exchange.tally
    failure = "client_gone" if is_gone else refused.failure if refused is not None else None
    if tally is None:
        measured.ended(failure)
    else:
        measured.ended(failure, input_tokens=tally.input_tokens, output_tokens=tally.output_tokens)


def _cut_word(refused: Refused) -> "Cut | None":
    """Return the word by which a cut is counted; none for one that the upstream or the client made."""
    match refused.answer.cause:
        case "revoked" | "expired" | "revocations_unknown" as lapse:
            return lapse
    match refused.failure:
        case "content":
            return "content"
        case "too_large":
            return "budget"
    return None
