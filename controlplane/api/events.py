"""``/v1/events``: what is void from now on, pushed as server-sent events that bear Security Event Tokens."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import problem, too_many
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.broadcasting import Message, TooManyListeners
from controlplane.capabilities.errors import CapabilityError
from controlplane.capabilities.events import PATH
from controlplane.contracts.events import STREAM
from controlplane.storage import StoreUnavailable

STREAM_SECONDS = 300.0
"""After so long a stream ends, and its listener comes back: whether it may listen is decided anew."""

WRITE_SECONDS = 5.0
"""A listener that takes nothing for so long is cut off."""

FULL_SECONDS = 5.0

_SEQUENCE = re.compile(r"0|[1-9][0-9]{0,17}")
_NAMES = {"event": "security-event", "keepalive": "keepalive", "reset": "reset"}
_log = structlog.get_logger("ztfm.events")


async def follow_events(request: web.Request) -> web.StreamResponse:
    """Replay what the caller has not seen, then push what happens, for about five minutes.

    ``Last-Event-ID`` (a header, or ``last_event_id`` in the query) resumes. Each event's data is a compact token of
    type ``secevent+jwt``: ``security-event`` with an id, ``keepalive`` every two seconds, and ``reset`` when events
    may have been missed.
    """
    services = request.app[SERVICES]
    caller = await authenticate(request)
    asked, known_at = _asked(request), services.clock()
    await administer(request, caller, "events:read", "events", STREAM)
    async with aclosing(services.revocation.broadcast.follow(caller.id, asked, known_at)) as messages:
        try:
            first = await anext(messages)
        except (TooManyListeners, StopAsyncIteration):
            raise too_many(FULL_SECONDS) from None
        return await _stream(request, first, messages)


async def _stream(request: web.Request, first: Message, messages: AsyncGenerator[Message, None]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    # One listener after the other, not all at once.
    lasting = STREAM_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, hides nothing
    ends_at = asyncio.get_running_loop().time() + lasting
    try:
        await response.prepare(request)
        await _write(request, response, first)
        async with asyncio.timeout_at(ends_at):
            async for message in messages:
                await _write(request, response, message)
    except TimeoutError:
        pass
    except ConnectionError:
        return response
    except (StoreUnavailable, CapabilityError) as error:
        # What was begun cannot become a problem document: the listener comes back, and learns more then.
        _log.error("stream_ended", error=type(error).__name__)
    return response


async def _write(request: web.Request, response: web.StreamResponse, message: Message) -> None:
    named = "" if message.sequence is None else f"id: {message.sequence}\n"
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(f"{named}event: {_NAMES[message.kind]}\ndata: {message.token}\n\n".encode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the listener takes nothing") from None


def _asked(request: web.Request) -> int | None:
    given = [request.headers.get("Last-Event-ID"), request.query.get("last_event_id")]
    stated = [value for value in given if value]
    if not all(_SEQUENCE.fullmatch(value) for value in stated):
        raise problem("invalid-request", 400, "The event to resume from is no number that this stream has given")
    return int(stated[0]) if stated else None


_RESUME = {"type": "string", "pattern": f"^({_SEQUENCE.pattern})?$"}
_PARAMETERS = (
    Parameter("Last-Event-ID", "header", "The last event that was seen; what came after it is replayed.", _RESUME),
    Parameter("last_event_id", "query", "The same, for clients that cannot set the header.", _RESUME),
)

ROUTES = (
    Route(
        "GET",
        PATH,
        follow_events,
        "Follow revocations as server-sent events; each bears a signed Security Event Token",
        problems=(400, 401, 403, 429, 503),
        proof=True,
        media_type="text/event-stream",
        parameters=_PARAMETERS,
    ),
)
