"""Pass an answer on: judged, shaped and counted, whole or as it comes."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import ClientResponse, web

from adapters.gateway.interfaces import Denied, Terms
from adapters.gateway.proxy import client, documents, running
from adapters.gateway.proxy.client import EVENTS, Client
from adapters.gateway.proxy.cutting import Scope
from adapters.gateway.proxy.endpoints import Endpoint, Question
from adapters.gateway.proxy.headers import downward, media_type
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.plain import is_json
from adapters.gateway.proxy.refusing import broken, denied, unanswered, unbounded, unshaped
from adapters.gateway.proxy.shaping import Shaper, changes, of_metadata, stricter
from adapters.gateway.proxy.tallying import Tally
from adapters.gateway.proxy.upstream import Upstream

if TYPE_CHECKING:
    from adapters.gateway.metrics import Exchange, GatewayMetrics

_TEXTS = ("text/", "application/x-ndjson", "application/jsonl")


@dataclass
class Answering:
    """One answer on its way.

    Attributes:
        endpoint: that was asked.
        question: that was asked.
        terms: that hold before anybody has looked at the answer.
        judge: says what becomes of its texts.
        shaper: carries terms out.
        tally: counts.
        limits: bounds.
        upstream: that answers.
        client: that is answered.
        scope: that ends it.
        passed: names of headers that are passed on besides.
        holds: nothing is passed on before all of it has been judged.
        metrics: count answers that run; none measures nothing.
        measured: takes note of the first token; none measures nothing.
    """

    endpoint: Endpoint
    question: Question
    terms: Terms
    judge: Callable[[Sequence[str]], Awaitable[Terms | Denied]]
    shaper: Shaper
    tally: Tally
    limits: Limits
    upstream: Upstream
    client: Client
    scope: Scope
    passed: frozenset[str] = frozenset()
    holds: bool = False
    metrics: "GatewayMetrics | None" = None
    measured: "Exchange | None" = None

    async def pass_on(self, answer: ClientResponse) -> web.StreamResponse:
        """Pass the answer on, and return what the client got.

        Raises:
            Refused: it may not pass, or breaks off.
            Unshapable: what policy wants cannot be done to it.
        """
        kind = media_type(answer.headers.get("Content-Type"))
        if kind == EVENTS:
            with self._streaming():
                return await running.events(self, answer)
        if is_json(kind) or answer.status in (204, 205) or answer.content_length == 0:
            return await self._document(answer)
        if kind.startswith(_TEXTS):
            with self._streaming():
                return await running.text(self, answer)
        if kind in self.endpoint.answers.types:
            return await self._opaque(answer)
        raise broken(f"its media type ({kind[:64] or 'none'}) is not passed on")

    async def _document(self, answer: ClientResponse) -> web.Response:
        body = await self.upstream.whole(answer, self.limits.answer_bytes)
        document, answers = _read(body) if body else None, self.endpoint.answers
        texts = [text for _place, text in answers.texts(document)]
        self.count(texts, document)
        named = answers.names(document)
        terms = await self.looked_at([*texts, named] if named else texts)
        if body and answer.status >= 400 and changes(terms):
            raise unanswered(answer.status)
        if body:
            document = self.shaper.shaped(terms, document)
            if terms.redact:
                if self.shaper.redacted(terms, "answer", named) != named:
                    raise unshaped()
                document = documents.dropped(document, answers.repeating)
                document = documents.replaced(
                    document, lambda text: self.shaper.redacted(terms, "answer", text), answers.without
                )
            body = documents.written(document)
        return client.whole(answer.status, self.headers(answer, terms), body)

    async def _opaque(self, answer: ClientResponse) -> web.StreamResponse:
        """Pass on what nobody can look into, once policy has been asked without a text."""
        terms = await self.looked_at([])
        if changes(terms) or terms.redact:
            raise unshaped()
        await self.client.begin(answer.status, self.headers(answer, terms))
        async for piece in self.upstream.pieces(answer, self.limits.stream_bytes):
            await self.client.write(piece)
        return await self.client.end()

    async def looked_at(self, texts: Sequence[str]) -> Terms:
        """Return the terms of an answer that is there whole.

        Raises:
            Refused: it may not pass.
        """
        found = await self.judge(texts)
        if isinstance(found, Denied):
            raise denied(found)
        terms = stricter(self.terms, found)
        return of_metadata(terms) if self.endpoint.is_about else terms

    def count(self, texts: Sequence[str], document: Any) -> None:
        """Count what came of the answer.

        Raises:
            Refused: it is longer than it may be.
        """
        if self.endpoint.is_about:
            return
        self.tally.said(texts)
        self.tally.state(self.endpoint.answers.usage(document))
        if self.tally.exceeds():
            raise unbounded("tokens")

    def first(self, is_said: bool) -> None:
        """Take note of a part of a running answer that says something; the first counts."""
        if is_said and self.measured is not None:
            self.measured.first_token()

    def _streaming(self) -> AbstractContextManager[None]:
        return nullcontext() if self.metrics is None else self.metrics.streaming()

    def headers(self, answer: ClientResponse, terms: Terms) -> dict[str, str]:
        """Return the headers of the answer; what was read as UTF-8 is said to be UTF-8, whatever the upstream says."""
        kind = media_type(answer.headers.get("Content-Type"))
        stated = {"content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") and kind != EVENTS else kind}
        decided = {"Ztfm-Decision": terms.decision} if terms.decision else {}
        return {
            **downward(answer.headers, self.passed),
            **(stated if kind else {}),
            **self.shaper.tags(terms),
            **decided,
        }


def _read(body: bytes) -> Any:
    try:
        return documents.read(body)
    except documents.Unread as error:
        raise broken(str(error)) from None
