"""The routes of the aggregator: what is open, the weights, announcements, updates."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from adapters.credentials import Introduction
from adapters.guard import Point, Refused
from adapters.http.arrivals import BROKEN
from adapters.http.desk import HttpDesk
from adapters.http.intake import Intake, asked_of, not_open, say_nothing_yet
from adapters.http.showing import presented
from adapters.http.signing import read_content_digest, write_content_digest
from adapters.http.sums import SumRoutes, in_the_clear
from adapters.jobs import refusals
from adapters.jobs.checked import AlteredError
from adapters.jobs.opened import OpenRound
from adapters.jobs.refusals import Refusal
from adapters.jobs.taking_part import SUMMING, TENSORS
from adapters.web.presented import body_bytes
from adapters.web.rules import is_plain
from controlplane.capabilities.proof import holder_of

JSON = "application/json"
MAX_JSON_BYTES = 16 * 1024

_JSON_SECONDS = 10.0

_log = logging.getLogger("ztfm.http")

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Routes:
    """Answers requests.

    Args:
        desk: what they share with the job.
    """

    def __init__(self, desk: HttpDesk) -> None:
        self._desk = desk
        self._intake = Intake(desk)
        self._sums = SumRoutes(desk, self._intake)

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._refusing], client_max_size=MAX_JSON_BYTES)
        app.router.add_get("/livez", self.alive, allow_head=False)
        app.router.add_get("/v1/rounds/current", self.current, allow_head=False)
        app.router.add_get("/v1/models/{model}", self.model, allow_head=False)
        app.router.add_post("/v1/members", self.announce)
        app.router.add_post("/v1/rounds/{round}/updates", self.submit, expect_handler=say_nothing_yet)
        app.router.add_put("/v1/rounds/{round}/credentials", self.renew)
        app.router.add_get("/v1/rounds/{round}/sum/{stage}", self.due, allow_head=False)
        app.router.add_post("/v1/rounds/{round}/sum/{stage}", self.add, expect_handler=say_nothing_yet)
        return app

    async def alive(self, _request: web.Request) -> web.Response:
        """GET /livez."""
        return web.json_response({"status": "ok"})

    async def current(self, request: web.Request) -> web.Response:
        """GET /v1/rounds/current: how the job stands; with ``after`` the answer waits for another version."""
        found = await self._desk.board.read(request.query.get("after"), self._desk.bounds.wait_seconds)
        return web.json_response(found, headers={"Cache-Control": "no-store"}, dumps=_compact)

    async def announce(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/members: a device introduces itself and will be invited to the next round."""
        document = await self._document(request)
        if isinstance(document, Refusal):
            return _answer(document)
        try:
            introduction = Introduction.from_dict(document)
        except ValueError:
            return self._refused("identify", refusals.malformed("Send a subject and a proof, both texts."))
        guard = self._desk.guard
        found = await self._desk.line(guard.identify, introduction)
        if isinstance(found, Refused):
            is_unknown = found.cause == "revocations_unknown"
            return _answer(refusals.of(found) if is_unknown else refusals.unproven(found.detail, found.cause))
        is_listed = self._desk.listed is None or found in self._desk.listed
        if not is_listed or not await self._desk.line(guard.admit, [found]):
            return _answer(
                refusals.denied("This job has a list of members, and the device is not on it.", "not_invited")
            )
        if found not in self._desk.announced and len(self._desk.announced) >= self._desk.bounds.most_members:
            return _answer(refusals.busy("As many devices as a round takes have announced themselves.", "full"))
        holder = holder_of(introduction.proof)
        if holder is not None:
            self._desk.keys[holder[1]] = holder[0]
        self._desk.announced[found] = None
        self._desk.news.set()
        return web.json_response({"subject": found}, status=202)

    async def model(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models/{model}: the weights of the round that is open, for its members."""
        opened = self._desk.current
        if request.match_info["model"] != self._desk.guard.model:
            return self._refused("pull", refusals.not_found("This job trains another model."))
        if opened is None or opened.is_closed:
            return self._refused("pull", refusals.conflict("No round is open now.", "wrong_round"))
        shown = presented(asked_of(request))
        if isinstance(shown, Refused):
            return self._refused("pull", refusals.of(shown))
        credentials, terms = shown[0], opened.sealed.terms
        size = opened.sealed.manifest.size_bytes
        beyond = await self._desk.reception.look(credentials, "model_access", terms, size_bytes=size)
        if beyond is not None:
            return self._refused("pull", refusals.of(beyond))
        if self._has_tried_enough(opened, credentials.subject, "pull"):
            return self._refused("pull", refusals.too_many())
        allowed = await self._desk.line(self._desk.guard.authorize_pull, opened.sealed, credentials)
        if isinstance(allowed, Refused):
            return _answer(refusals.of(allowed))
        if opened.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers={"ETag": opened.etag})
        return await self._send(request, opened)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/rounds/{round}/updates: an update of a member, once."""
        opened, asked = self._opened(request), asked_of(request)
        if opened is None or opened.is_closed:
            return self._refused("gate", not_open())
        if read_content_digest(request.headers.getall("Content-Digest", [])) is None:
            detail = "Send the body's Content-Digest with sha-256 (RFC 9530)."
            return self._refused("gate", refusals.malformed(detail))
        signer = await self._intake.signer(request, asked)
        if isinstance(signer, Refused):
            return self._refused("gate", refusals.of(signer))
        if not opened.sealed.has_member(signer):
            detail = "The device is no member of this round: announce it before the next one."
            return self._refused("gate", refusals.denied(detail, "wrong_subject"))
        if opened.sums is not None:
            self._desk.ledger.member("gate", "not_masked", signer, opened.id)
            return _answer(in_the_clear())
        if self._has_tried_enough(opened, signer, "submit"):
            return self._refused("gate", refusals.too_many())
        if signer in opened.taken or signer in opened.sending:
            self._desk.ledger.member("gate", "replayed", signer, opened.id)
            return _answer(refusals.conflict("The device sent its update already.", "replayed"))
        opened.sending.add(signer)
        try:
            refusal = await self._intake.take(request, asked, opened, signer)
        finally:
            opened.sending.discard(signer)
        if refusal is not None:
            return _answer(refusal)
        self._desk.news.set()
        return web.json_response({"subject": signer, "round_id": opened.id}, status=202)

    async def due(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/rounds/{round}/sum/{stage}: what a member is sent for a stage of its group's sum."""
        found = await self._sums.due(request)
        if isinstance(found, Refusal):
            return self._refused("gate", found)
        if not found:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        return web.Response(body=found, content_type=SUMMING, headers={"Cache-Control": "no-store"})

    async def add(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/rounds/{round}/sum/{stage}: what a member answers, once."""
        refusal = await self._sums.answer(request)
        if refusal is not None:
            return _answer(refusal)
        return web.json_response({"stage": request.match_info["stage"]}, status=202)

    async def renew(self, request: web.Request) -> web.StreamResponse:
        """PUT /v1/rounds/{round}/credentials: fresh credentials for an update whose own ran out meanwhile."""
        opened = self._opened(request)
        if opened is None:
            return self._refused("gate", not_open())
        if body_bytes(asked_of(request)) != 0:
            return self._refused("gate", refusals.malformed("This request has no body."))
        shown = presented(asked_of(request))
        if isinstance(shown, Refused):
            return self._refused("gate", refusals.of(shown))
        taken = opened.taken.get(shown[0].subject)
        if taken is None or (opened.is_closed and taken.subject not in opened.stale):
            return self._refused("gate", refusals.conflict("No update of this device waits for credentials.", "absent"))
        terms = opened.sealed.terms
        beyond = await self._desk.reception.look(
            shown[0],
            "gradient_submission",
            terms,
            digest=taken.digest,
            size_bytes=taken.size_bytes,
            sealed_to=taken.sealed_to,
        )
        if beyond is not None:
            return self._refused("gate", refusals.of(beyond))
        opened.renew(taken.subject, shown[0])
        self._desk.news.set()
        return web.Response(status=204)

    def _opened(self, request: web.Request) -> OpenRound | None:
        opened = self._desk.current
        return opened if opened is not None and request.match_info["round"] == opened.id else None

    async def _send(self, request: web.Request, opened: OpenRound) -> web.StreamResponse:
        served = opened.served
        headers = {
            "Content-Type": TENSORS,
            "Content-Digest": write_content_digest(served.sha256),
            "ETag": opened.etag,
            "Cache-Control": "no-store",
            "Accept-Ranges": "none",
        }
        response = web.StreamResponse(headers=headers)
        response.content_length = served.size_bytes
        with await asyncio.to_thread(served.path.open, "rb") as file:
            pieces = served.read_pieces(file)
            try:
                # Before the answer begins: what was altered there is told as a fault.
                piece = await asyncio.to_thread(next, pieces, b"")
                await response.prepare(request)
                async with asyncio.timeout(self._desk.bounds.transfer_seconds):
                    while piece:
                        await response.write(piece)
                        piece = await asyncio.to_thread(next, pieces, b"")
            except AlteredError as error:
                _log.error("%s", error)
                refusal = self._refused("pull", refusals.altered())
                if not response.prepared:
                    return refusal
                self._abort(request)
            except TimeoutError:
                self._abort(request)
        return response

    def _abort(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()

    async def _document(self, request: web.Request) -> dict[str, object] | Refusal:
        if request.content_type != JSON or "Content-Encoding" in request.headers:
            return refusals.media_type([JSON])
        try:
            async with asyncio.timeout(_JSON_SECONDS):
                found = json.loads(await request.read())
        except TimeoutError:
            return refusals.timeout()
        except (ValueError, RecursionError, *BROKEN):
            found = None
        return found if isinstance(found, dict) else refusals.malformed("Send one JSON object.")

    def _has_tried_enough(self, opened: OpenRound, subject: str, kind: str) -> bool:
        if not opened.sealed.has_member(subject):
            return False
        opened.tries[subject, kind] += 1
        return opened.tries[subject, kind] > self._desk.bounds.tries

    def _refused(self, point: Point, refusal: Refusal) -> web.Response:
        self._desk.ledger.stranger(point, refusal.cause)
        return _answer(refusal)

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Responder) -> web.StreamResponse:
        """Answer what no route is for, and faults, as problems."""
        if not is_plain(request.raw_path.partition("?")[0]):
            return _answer(refusals.crooked())
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            return _answer(refusals.wrong_method(error.allowed_methods))
        except web.HTTPRequestEntityTooLarge:
            return _answer(refusals.over_limit(MAX_JSON_BYTES))
        except web.HTTPException:
            return _answer(refusals.not_found("The routes are in docs/adapters-http.md."))


def _answer(refusal: Refusal) -> web.Response:
    _log.info("refused: %d, %s", refusal.status, refusal.cause)
    return web.Response(status=refusal.status, body=refusal.body, headers=refusal.all_headers())


def _compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
