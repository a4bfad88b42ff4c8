"""One request on its way to the model and back: body, budget, judgement, upstream, answer. In this order, always."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from adapters.gateway.interfaces import Denied, Direction, Terms
from adapters.gateway.proxy.answering import Answering
from adapters.gateway.proxy.client import Client
from adapters.gateway.proxy.cutting import Scope
from adapters.gateway.proxy.endpoints import Body, Endpoint, Question
from adapters.gateway.proxy.headers import media_type, upward
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.refusing import Refused, busy, denied, slow_body, unkept
from adapters.gateway.proxy.shaping import initial
from adapters.gateway.proxy.tallying import Tally, reserved
from adapters.gateway.proxy.upstream import is_worked_on, require_usable
from adapters.web.admission import Admitted
from adapters.web.observing import observe
from controlplane.contracts.capability import Constraints

if TYPE_CHECKING:
    from adapters.gateway.metrics import Exchange as Measured

_KEPT = frozenset(
    {
        *("model_digest", "purpose", "max_output_tokens", "detail", "one_time", "segment"),
        # Compared with the length of what came, before the body was read.
        "max_bytes",
    }
)
"""Limits of a capability that are kept here, or that the enforcement point compared."""


class Exchange:
    """One admitted request.

    Args:
        parts: of the proxy.
        endpoint: that is asked.
        admitted: who asks.
        request: as it came.
        client: that is answered.
        measured: takes note of tokens and times; none measures nothing.
    """

    def __init__(
        self,
        parts: Parts,
        endpoint: Endpoint,
        admitted: Admitted,
        request: web.BaseRequest,
        client: Client,
        measured: "Measured | None",
    ) -> None:
        self._parts = parts
        self._endpoint = endpoint
        self._admitted = admitted
        self._request = request
        self._client = client
        self._measured = measured
        self.tally: Tally | None = None

    async def run(self, scope: Scope) -> web.StreamResponse:
        """Ask the upstream, and return the answer once it is out, or ready to be sent whole.

        Args:
            scope: that ends it from outside; entered by whoever calls.

        Raises:
            Refused: it comes to nothing, or breaks off.
            Unshapable: what policy wants cannot be done to it.
        """
        self._require_keepable()
        content = await self._body()
        parts, most = self._parts, self._most()
        path, _, query = self._request.raw_path.partition("?")
        body = Body(content, media_type(self._request.headers.get("Content-Type")), query, path)
        question = self._endpoint.read(self._endpoint, body, most, parts.limits)
        self.tally = Tally(len(content), question, parts.limits)
        async with reserved(parts.budgets, self._admitted, question, self.tally):
            terms = await self._obeyed(question)
            answer = await self._asked(question, terms, scope)
        observe(parts.point.signals, self._admitted, content, self._client.sent or _size(answer))
        return await self._client.send(answer)

    async def _obeyed(self, question: Question) -> Terms:
        terms = await self._judged("prompt", question.texts)
        if isinstance(terms, Denied):
            raise denied(terms)
        question.obey(terms, lambda text: self._parts.shaper.redacted(terms, "prompt", text))
        return initial(self._admitted, terms)

    async def _asked(self, question: Question, terms: Terms, scope: Scope) -> web.StreamResponse:
        parts, tally = self._parts, self.tally
        if tally is None:
            raise RuntimeError("what is forwarded is counted")
        headers = upward(self._request.headers, self._admitted, parts.passed_up, parts.own_headers())
        headers.pop("content-type", None)
        body = question.body()
        if body:
            is_text = question.media_type.startswith("text/")
            headers["content-type"] = f"{question.media_type}; charset=utf-8" if is_text else question.media_type
        tally.is_asked = True
        try:
            async with parts.upstream.asking(self._request.method, question.path, headers, body) as answer:
                tally.is_asked = is_worked_on(answer.status)
                require_usable(answer)
                answering = Answering(
                    self._endpoint,
                    question,
                    terms,
                    lambda texts: self._judged("answer", texts),
                    parts.shaper,
                    tally,
                    parts.limits,
                    parts.upstream,
                    self._client,
                    scope,
                    parts.passed_down,
                    parts.holds,
                    parts.metrics,
                    self._measured,
                )
                return await answering.pass_on(answer)
        except Refused as refused:
            if refused.failure == "upstream_unreachable":
                tally.is_asked = False
            raise

    async def _judged(self, direction: Direction, texts: Sequence[str]) -> Terms | Denied:
        try:
            async with asyncio.timeout(self._parts.limits.answer_seconds):
                return await self._parts.judge.judge(self._admitted, direction, texts)
        except TimeoutError:
            raise busy("unjudged") from None

    async def _body(self) -> bytes:
        size = self._request.content_length or 0
        if not size:
            return b""
        if self._request.headers.get("Expect"):
            transport = self._request.transport
            if transport is None:
                raise slow_body()
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async with asyncio.timeout(self._parts.limits.body_seconds):
                return await self._request.content.readexactly(size)
        except (TimeoutError, asyncio.IncompleteReadError, web.RequestPayloadError):
            raise slow_body() from None

    def _most(self) -> int:
        stated, own = self._admitted.limits.max_output_tokens, self._parts.limits.output_tokens
        return own if stated is None else stated

    def _require_keepable(self) -> None:
        limits = self._admitted.limits
        stated = {name for name in Constraints.model_fields if not _is_unstated(getattr(limits, name))}
        if stated - _KEPT:
            raise unkept(sorted(stated - _KEPT))


def _is_unstated(limit: object) -> bool:
    # By identity: a limit of 0 equals False, and is one.
    return limit is None or limit is False


def _size(answer: web.StreamResponse) -> int:
    return len(answer.body) if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else 0
