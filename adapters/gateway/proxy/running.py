"""Pass a running answer on: events and texts, judged in windows beside the stream, or held until all of it was."""

from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import ClientResponse, web

from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy import client, documents
from adapters.gateway.proxy.emitting import Emitter
from adapters.gateway.proxy.endpoints import Place
from adapters.gateway.proxy.refusing import broken, unbounded, unshaped
from adapters.gateway.proxy.shaping import changes
from adapters.gateway.proxy.windows import Windows
from adapters.serversent import EventReader, ServerEvent, TooLong

if TYPE_CHECKING:
    from adapters.gateway.proxy.answering import Answering

Event = tuple[ServerEvent, Any]
"""An event, and its document; none where its data is no JSON."""

_MOST_NAMES = 64

_NAMES = ("\n",)
"""Place of the names of members, as it were."""

Said = tuple[ServerEvent, Any, list[tuple[Place, str]]]
"""An event, its document, and its texts with their places."""


async def events(answering: "Answering", answer: ClientResponse) -> web.StreamResponse:
    """Pass server-sent events on as they come, and return what the client got.

    Raises:
        Refused: they may not pass, or break off.
        Unshapable: what policy wants cannot be done to them.
    """
    if answering.holds:
        return await _held_events(answering, answer)
    emitter = Emitter(answering.terms, answering.shaper, answering.endpoint.answers)
    if answering.endpoint.answers.done is not None:
        await _begin(answering, answer, emitter, answering.terms)
    kept, size, named = list[Event](), 0, set[str]()
    async with Windows(answering.judge, answering.terms, answering.scope, answering.limits) as windows:
        async for said in _read_events(answering, answer):
            ready: list[ServerEvent] = []
            for event, document, texts in said:
                if windows.is_full:
                    await _write(answering, ready)
                    ready = []
                await windows.take(_NAMES, _fresh(answering, document, named))
                for place, text in texts:
                    await windows.take(place, text, is_noticed=emitter.notices(place, text))
                if windows.is_beyond or emitter.is_doubtful(windows.terms):
                    await windows.decided()
                if not answering.client.is_answered:
                    # Events of no known API bear their tag in a header, or nowhere.
                    await _begin(answering, answer, emitter, await windows.decided())
                kept.append((event, document))
                size += len(event.data)
                if not _is_closing(answering, document):
                    ready += [emitter.made(*one, windows.terms) for one in kept]
                    kept, size = [], 0
                if size > answering.limits.answer_bytes:
                    raise unbounded("bytes")
            await _write(answering, ready)
        terms = await windows.finish()
    if not answering.client.is_answered:
        await _begin(answering, answer, emitter, terms)
    return await _end(answering, emitter, kept, terms)


async def text(answering: "Answering", answer: ClientResponse) -> web.StreamResponse:
    """Pass a text on as it comes, and return what the client got.

    Raises:
        Refused: it may not pass, or breaks off.
        Unshapable: what policy wants cannot be done to it.
    """
    if changes(answering.terms):
        raise unshaped()
    if answering.holds:
        return await _held_text(answering, answer)
    emitter = Emitter(answering.terms, answering.shaper, answering.endpoint.answers)
    async with Windows(answering.judge, answering.terms, answering.scope, answering.limits) as windows:
        async for piece in _read_text(answering, answer):
            await windows.take((), piece, is_noticed=emitter.notices((), piece))
            if windows.is_beyond or emitter.is_doubtful(windows.terms):
                await windows.decided()
            if not answering.client.is_answered:
                await _begin(answering, answer, emitter, await windows.decided())
            await answering.client.write(emitter.text(piece, windows.terms).encode())
        terms = await windows.finish()
    if not answering.client.is_answered:
        await _begin(answering, answer, emitter, terms)
    await answering.client.write(emitter.rest_of_text(terms).encode())
    return await answering.client.end()


async def _begin(answering: "Answering", answer: ClientResponse, emitter: Emitter, terms: Terms) -> None:
    emitter.is_tagged = terms.watermark is not None
    await answering.client.begin(answer.status, answering.headers(answer, terms))


async def _held_events(answering: "Answering", answer: ClientResponse) -> web.StreamResponse:
    """Wait for all events, look at them whole, and only then pass them on."""
    held, said, size, named = list[Event](), dict[Place, list[str]](), 0, set[str]()
    async for found in _read_events(answering, answer):
        for event, document, texts in found:
            size += len(event.data)
            if size > answering.limits.answer_bytes:
                raise unbounded("bytes")
            held.append((event, document))
            if fresh := _fresh(answering, document, named):
                said.setdefault(_NAMES, []).append(fresh)
            for place, one in texts:
                said.setdefault(place, []).append(one)
    terms = await answering.looked_at(["".join(texts) for texts in said.values()])
    emitter = Emitter(terms, answering.shaper, answering.endpoint.answers, is_judged=True)
    emitter.is_tagged = terms.watermark is not None
    closing = len(held)
    while closing and _is_closing(answering, held[closing - 1][1]):
        closing -= 1
    made = [emitter.made(*one, terms) for one in held[:closing]]
    await _begin(answering, answer, emitter, terms)
    await _write(answering, made)
    return await _end(answering, emitter, held[closing:], terms)


async def _held_text(answering: "Answering", answer: ClientResponse) -> web.Response:
    said = "".join([one async for one in _read_text(answering, answer)])
    terms = await answering.looked_at([said])
    if changes(terms):
        raise unshaped()
    said = answering.shaper.redacted(terms, "answer", said) if terms.redact else said
    return client.whole(answer.status, answering.headers(answer, terms), said.encode())


async def _end(answering: "Answering", emitter: Emitter, kept: Sequence[Event], terms: Terms) -> web.StreamResponse:
    """Pass on what was kept back of texts, then the events that say that the answer is over."""
    answers = answering.endpoint.answers
    places = {place for _event, document in kept for place, _text in answers.texts(document)}
    rest = emitter.rest(terms, places)
    closing = [emitter.made(*one, terms, is_last=True) for one in kept]
    last = [] if answers.done is None else [ServerEvent("message", answers.done, None)]
    await _write(answering, [*rest, *closing, *last])
    return await answering.client.end()


async def _read_events(answering: "Answering", answer: ClientResponse) -> AsyncIterator[list[Said]]:
    """Give out the events that come together."""
    reader, answers = EventReader(), answering.endpoint.answers
    async for piece in answering.upstream.pieces(answer, answering.limits.stream_bytes):
        found: list[Said] = []
        try:
            came = reader.feed(piece)
        except (TooLong, UnicodeDecodeError):
            raise broken("an event of it is too long, or no UTF-8") from None
        is_done = False
        for event in came:
            if answers.done is not None and event.data == answers.done:
                is_done = True
                break
            document = _document_of(event)
            texts: list[tuple[Place, str]] = answers.texts(document) if document is not None else [((), event.data)]
            answering.count([one for _place, one in texts], document)
            answering.first(any(one for _place, one in texts))
            if not (answering.question.hides_usage and answers.is_usage_alone(document)):
                found.append((event, document, texts))
        yield found
        if is_done:
            return
    if answers.done is not None and answer.status < 400:
        raise broken("the stream ended before it said that it was over")


async def _read_text(answering: "Answering", answer: ClientResponse) -> AsyncIterator[str]:
    decoder = getincrementaldecoder("utf-8")()
    most = answering.limits.answer_bytes if answering.holds else answering.limits.stream_bytes
    try:
        async for piece in answering.upstream.pieces(answer, most):
            found = decoder.decode(piece)
            if found:
                answering.count([found], None)
                answering.first(True)
                yield found
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise broken("it is no UTF-8") from None


async def _write(answering: "Answering", ready: Sequence[ServerEvent]) -> None:
    if ready:
        await answering.client.write(b"".join(map(client.encoded, ready)))


def _fresh(answering: "Answering", document: Any, named: set[str]) -> str:
    """Return the names of an event's members that are not known yet, and take note of them."""
    names = answering.endpoint.answers.names(document)
    if not names or names in named:
        return ""
    if len(named) < _MOST_NAMES:
        named.add(names)
    return names + "\n"


def _is_closing(answering: "Answering", document: Any) -> bool:
    return document is not None and answering.endpoint.answers.is_closing(document)


def _document_of(event: ServerEvent) -> Any:
    """Return the JSON object or list of an event, or none."""
    try:
        document = documents.read(event.data.encode())
    except (documents.Unread, UnicodeEncodeError):
        return None
    return document if isinstance(document, (dict, list)) else None
