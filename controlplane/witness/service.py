"""The witness as a server: ``POST /add-checkpoint`` for logs, and what it saw and found for everybody."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict

import aiohttp
import orjson
from aiohttp import web

from controlplane.transparency.checkpoints import Checkpoint
from controlplane.witness.memory import Memory
from controlplane.witness.mirroring import ANSWER_SECONDS, Mirror, NotMirrored
from controlplane.witness.watching import MOST_BODY, Answer, Shown, Watch

_log = logging.getLogger("ztfm.witness")

LOOK_SECONDS = 10.0
"""A log is looked through once in so long at most."""

_WATCH = web.AppKey("watch", Watch)
_MEMORY = web.AppKey("memory", Memory)
_MIRROR = web.AppKey("mirror", Mirror)
_TURN = web.AppKey("turn", asyncio.Lock)
_LOOKED: web.AppKey[dict[str, float]] = web.AppKey("looked", dict)
_FOLLOWING: web.AppKey[set["asyncio.Task[None]"]] = web.AppKey("following", set)


def build_witness(watch: Watch, memory: Memory, urls: Mapping[str, str]) -> web.Application:
    """Return the application.

    Args:
        watch: what is signed.
        memory: what was.
        urls: by origin, where a log's control plane answers, so that a changed entry can be named; may be empty.
    """
    app = web.Application(client_max_size=MOST_BODY)
    app[_WATCH], app[_MEMORY], app[_TURN] = watch, memory, asyncio.Lock()
    app[_FOLLOWING], app[_LOOKED] = set(), {}

    async def _mirror(app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            app[_MIRROR] = Mirror(memory, urls, session)
            yield
            for task in app[_FOLLOWING]:
                task.cancel()
            await asyncio.gather(*app[_FOLLOWING], return_exceptions=True)

    app.cleanup_ctx.append(_mirror)
    app.add_routes(
        [
            web.post("/add-checkpoint", _add),
            web.get("/checkpoint", _last),
            web.get("/findings", _findings),
            web.get("/key", _key),
            web.get("/livez", _live),
        ]
    )
    return app


async def _add(request: web.Request) -> web.Response:
    body = await request.read()
    # One at a time: what was seen must not change between looking and signing.
    async with request.app[_TURN]:
        answer = await asyncio.to_thread(request.app[_WATCH].show, body)
        if answer.suspect:
            answer = await _looked_into(request.app, body, answer)
        elif answer.status == 200:
            _begin_following(request.app, body)
    media = "text/x.tlog.size" if answer.status == 409 else "text/plain"
    return web.Response(text=answer.text, status=answer.status, content_type=media)


async def _looked_into(app: web.Application, body: bytes, answer: Answer) -> Answer:
    """Say which entry was changed, where that can be told; hold nothing against a log that is not shown of it."""
    origin = Shown.parse(body).checkpoint.origin
    found = await _difference(app, origin)
    if found is None and not answer.is_proven:
        return answer
    place, what = None, "the log signed two heads of one size that differ"
    if found is not None:
        place, named = found
        what = f"entry {place} is not what it was" + (f"; the log now shows {named} there" if named else "")
    app[_WATCH].found(origin, place, what)
    _log.error("%s rewrote its history: %s", origin, what)
    return answer if answer.status == 409 else Answer(answer.status, what + "\n")


async def _difference(app: web.Application, origin: str) -> tuple[int, str] | None:
    """Return the first entry that differs and what the log shows there; none where there is none, or nobody can tell.

    It reads the whole log, so whoever shows wrong proofs has it read once a while at most.
    """
    mirror, looked, now = app[_MIRROR], app[_LOOKED], time.monotonic()
    if not mirror.watches(origin) or now - looked.get(origin, -LOOK_SECONDS) < LOOK_SECONDS:
        return None
    looked[origin] = now
    with suppress(NotMirrored):
        return await mirror.first_difference(origin)
    return None


def _begin_following(app: web.Application, body: bytes) -> None:
    """Copy the hashes that were added, beside other work; one log at a time, and at most one at once."""
    checkpoint = Shown.parse(body).checkpoint
    if app[_MIRROR].watches(checkpoint.origin) and not app[_FOLLOWING]:
        task = asyncio.create_task(_follow(app[_MIRROR], checkpoint))
        app[_FOLLOWING].add(task)
        task.add_done_callback(app[_FOLLOWING].discard)


async def _follow(mirror: Mirror, checkpoint: Checkpoint) -> None:
    try:
        await mirror.follow(checkpoint)
    except NotMirrored as error:
        _log.warning("the hashes of %s are not copied: %s", checkpoint.origin, error)


async def _last(request: web.Request) -> web.Response:
    head = request.app[_MEMORY].head(request.query.get("origin", ""))
    if head is None:
        return web.Response(text="no head of a log of that origin was signed\n", status=404)
    return web.Response(text=head.note)


async def _findings(request: web.Request) -> web.Response:
    found = [asdict(one) for one in request.app[_MEMORY].findings()]
    return web.Response(body=orjson.dumps({"findings": found}), content_type="application/json")


async def _key(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.app[_WATCH].verifier}\n")


async def _live(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
