"""Guard an aiohttp application: `guard` is called once, and every request has shown its capability after that.

Example:
    app = web.Application()
    guard(app, EnforcementPoint(CONTROL_PLANE, audience="models-1", public_url=PUBLIC_URL, rules=[Rule(...)]))

    async def infer(request):
        admitted = capability_of(request)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import Payload, web

from adapters.web.admission import Admitted, Exempt
from adapters.web.answering import Refusal
from adapters.web.observing import observe
from adapters.web.point import EnforcementPoint
from adapters.web.presented import Asked
from controlplane.capabilities.certificates import read_certificate

CAPABILITY: Final = web.RequestKey("ztfm.capability", Admitted)

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(app: web.Application, point: EnforcementPoint) -> None:
    """Put an enforcement point in front of everything that an application answers, and close it with the application.

    Call it before other middlewares are added: those that come first see requests that nobody has verified.
    """

    @web.middleware
    async def enforce(request: web.Request, handler: Responder) -> web.StreamResponse:
        """Let a request through, or answer it."""
        verdict = await point.check(asked_by(request, point))
        if isinstance(verdict, Refusal):
            return _answer(verdict)
        if isinstance(verdict, Exempt):
            return await handler(request)
        request[CAPABILITY] = verdict
        answer = await handler(request)
        # One that is sent piece by piece is under way already: its handler keeps to `max_answer_bytes`.
        exceeded = None if answer.prepared else point.exceeded(verdict, await _size(verdict, answer))
        if point.signals is not None:
            size = answer.body_length if answer.prepared else answer.content_length or 0
            observe(point.signals, verdict, await _read(request), size)
        return answer if exceeded is None else _answer(exceeded)

    async def serving(_app: web.Application) -> AsyncIterator[None]:
        """Start the point with the application, and close it."""
        await point.start()
        yield
        await point.close()

    app.middlewares.insert(0, enforce)
    app.cleanup_ctx.append(serving)


def capability_of(request: web.Request) -> Admitted:
    """Return what a guarded request was let through with.

    Raises:
        KeyError: the path is exempt.
    """
    return request[CAPABILITY]


def asked_by(request: web.BaseRequest, point: EnforcementPoint) -> Asked:
    """Return what an enforcement point looks at of a request of aiohttp's."""
    names = {name.lower() for name in request.headers}
    headers = {name: request.headers.getall(name) for name in names}
    return Asked(request.method, request.raw_path.partition("?")[0], headers, _certificate(request, point))


def _certificate(request: web.BaseRequest, point: EnforcementPoint) -> str | None:
    tls = request.get_extra_info("ssl_object") if point.takes_certificates else None
    found = read_certificate(tls.getpeercert(binary_form=True)) if tls is not None else None
    return found.thumbprint if found is not None and found.expires_at > point.clock() else None


async def _size(admitted: Admitted, answer: web.StreamResponse) -> int:
    """Return how large an answer will be that is not under way yet.

    Raises:
        RuntimeError: the capability reaches so far and no farther, and nobody can tell.
    """
    if isinstance(answer, web.FileResponse):
        # All of the file: of a range, the rest may be asked for next.
        path = answer._path
        return await asyncio.to_thread(lambda: path.stat().st_size if path.is_file() else 0)
    body = answer.body if isinstance(answer, web.Response) else None
    size = body.size if isinstance(body, Payload) else answer.content_length
    if size is None and admitted.max_answer_bytes is not None:
        raise RuntimeError("a limited answer says how large it is, or its handler sends it piece by piece")
    return size or 0


async def _read(request: web.Request) -> bytes:
    """Return the body where the application has read it whole; nobody waits for one that it did not want."""
    return await request.read() if request.content.at_eof() else b""


def _answer(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, body=refusal.body, headers=refusal.all_headers())
