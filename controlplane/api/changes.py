"""``GET /v1/changes``: that something has changed, pushed as server-sent events to whoever looks at it."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.console.cookies import SESSION, shown
from controlplane.api.console.sessions import is_presented
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import too_many
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.changes import CHANGES_STREAM, Changed, ChangeKind
from controlplane.contracts.events import REACH_SECONDS
from controlplane.contracts.identity import Person
from controlplane.decisions.changes import Follower, TooManyFollowers
from controlplane.identity.sessions import digest_of

STREAM_SECONDS = 300.0
"""After so long a stream ends, and its follower comes back: whether it may follow is decided anew."""

WRITE_SECONDS = 5.0
"""A follower that takes nothing for so long is cut off."""

FULL_SECONDS = 5.0
RETRY_SECONDS = (1.0, 4.0)
"""After which a browser comes back: not all at once, when a replica has ended."""

_log = structlog.get_logger("ztfm.changes")


async def follow_changes(request: web.Request) -> web.StreamResponse:
    """Push the kinds of what changes, on whichever replica, within about a second and for about five minutes.

    A comment comes every fifteen seconds. Whoever resumes (``Last-Event-ID``) is told of every kind at once.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    known_at = services.clock()
    await administer(request, caller, "changes:read", "changes", CHANGES_STREAM)
    until = caller.expires_at if isinstance(caller, Person) else None
    session = digest_of(shown(request, SESSION)[0]) if is_presented(request) else None
    # Whoever was shut out so shortly before that this replica may have remembered it otherwise is not let in.
    follower = Follower(caller.id, known_at - REACH_SECONDS, until, session)
    resumes = bool(request.headers.get("Last-Event-ID"))
    async with aclosing(services.changes.follow(follower, resumes=resumes)) as changes:
        try:
            await anext(changes)
        except (TooManyFollowers, StopAsyncIteration):
            raise too_many(FULL_SECONDS) from None
        return await _stream(request, changes)


async def _stream(request: web.Request, changes: AsyncGenerator[tuple[ChangeKind, ...], None]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    lasting = STREAM_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, hides nothing
    retry = int(1000 * random.uniform(*RETRY_SECONDS))  # noqa: S311 - as above
    ends_at = asyncio.get_running_loop().time() + lasting
    try:
        await response.prepare(request)
        await _write(request, response, f"retry: {retry}\n: following\n\n")
        async with asyncio.timeout_at(ends_at):
            async for kinds in changes:
                await _write(request, response, _told(request, kinds))
    except (TimeoutError, ConnectionError):
        pass
    return response


def _told(request: web.Request, kinds: tuple[ChangeKind, ...]) -> str:
    now = request.app[SERVICES].clock()
    data = Changed(at=now).model_dump_json()
    return "".join(f"id: {now:.3f}\nevent: {kind}\ndata: {data}\n\n" for kind in kinds) or ": alive\n\n"


async def _write(request: web.Request, response: web.StreamResponse, text: str) -> None:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(text.encode())
    except TimeoutError:
        request.app[SERVICES].metrics.changes.dropped.inc()
        _log.warning("a follower was too slow and was cut off")
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the follower takes nothing") from None


ROUTES = (
    Route(
        "GET",
        "/v1/changes",
        follow_changes,
        "Follow what changes as server-sent events: rounds, devices, decisions, policies and rollbacks",
        problems=(401, 403, 429, 503),
        proof=True,
        people=True,
        media_type="text/event-stream",
        parameters=(
            Parameter("Last-Event-ID", "header", "The last event that was seen: all kinds are told of at once."),
        ),
    ),
)
