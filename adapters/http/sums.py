"""The routes of a secure sum: what a member is to be sent for a stage, and what it answers.

Both are signed as an update is. Who begins shows a capability to pull that holds; who sends masked values, the
capability to submit whose proof is over them.
"""

import asyncio
import contextlib
import logging
from typing import NamedTuple, get_args

from aiohttp import web

from adapters.credentials import Credentials
from adapters.guard import Refused
from adapters.http.desk import HttpDesk
from adapters.http.intake import Intake, asked_of, not_open
from adapters.http.showing import presented
from adapters.http.signing import read_content_digest
from adapters.jobs import refusals
from adapters.jobs.examining import shown_amiss
from adapters.jobs.opened import OpenRound
from adapters.jobs.refusals import Refusal
from adapters.jobs.summing import Sums
from adapters.jobs.taking_part import SUMMING
from adapters.secureaggregation.messages import Stage
from adapters.web.presented import Asked, body_bytes

_log = logging.getLogger("ztfm.http")

_TOLD = frozenset({"malformed", "not_signed", "other_view"})
"""What of a member's answers is its own doing, and goes into the report."""


class _Caller(NamedTuple):
    asked: Asked
    opened: OpenRound
    sums: Sums
    stage: Stage
    name: str


class SumRoutes:
    """Answers the requests of members that sum.

    Args:
        desk: what routes share with the job.
        intake: takes bodies in.
    """

    def __init__(self, desk: HttpDesk, intake: Intake) -> None:
        self._desk = desk
        self._intake = intake

    async def due(self, request: web.Request) -> bytes | Refusal:
        """GET /v1/rounds/{round}/sum/{stage}: what is due, empty where the stage has not begun."""
        caller = await self._caller(request)
        if isinstance(caller, Refusal):
            return caller
        if (refusal := await self._unproven(caller)) is not None:
            return refusal
        found = await caller.sums.due(caller.name, caller.stage, self._desk.bounds.wait_seconds)
        return _over() if found is None else found

    async def answer(self, request: web.Request) -> Refusal | None:
        """POST /v1/rounds/{round}/sum/{stage}: a member's answer, once."""
        caller = await self._caller(request)
        if isinstance(caller, Refusal):
            return caller
        _, opened, _, stage, name = caller
        opened.tries[name, f"sum {stage}"] += 1
        if opened.tries[name, f"sum {stage}"] > self._desk.bounds.tries:
            return refusals.too_many()
        if name in opened.sending:
            return refusals.conflict("An answer of this device is on its way already.", "replayed")
        opened.sending.add(name)
        try:
            return await self._taken(request, caller)
        finally:
            opened.sending.discard(name)

    async def _taken(self, request: web.Request, caller: _Caller) -> Refusal | None:
        asked, opened, sums, stage, name = caller
        shown, refusal = _shown(asked), _beyond(asked, request, sums.limit_bytes(name, stage))
        refusal = refusal or await self._unproven(caller)
        if stage == "mask" and refusal is None:
            refusal = (
                refusals.malformed("Send a capability to submit with its proof.", "proof_missing")
                if shown is None
                else await shown_amiss(self._desk.reception, opened, shown, name)
            )
        if refusal is not None:
            if stage == "mask":
                sums.declined(name, refusal.cause)
            return refusal
        path = opened.new_path()
        try:
            late = asyncio.get_running_loop().time() + self._desk.bounds.transfer_seconds
            refusal = await self._intake.arrived(request, asked, path, late)
            if refusal is not None:
                return refusal
            found = await sums.receive(name, stage, path, shown if stage == "mask" else None)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._desk.news.set()
        if found in _TOLD and stage != "mask":
            self._desk.ledger.member("gate", found, name, opened.id)
        return _refused(found)

    async def _caller(self, request: web.Request) -> "_Caller | Refusal":
        """Return who asks for what, or why nobody is answered."""
        opened, stage = self._desk.current, request.match_info["stage"]
        if stage not in get_args(Stage):
            return refusals.not_found("The stages of a sum are in docs/adapters-http.md.")
        if opened is None or opened.sums is None or opened.is_closed or request.match_info["round"] != opened.id:
            return not_open()
        if read_content_digest(request.headers.getall("Content-Digest", [])) is None:
            return refusals.malformed("Send the body's Content-Digest with sha-256 (RFC 9530), also of an empty one.")
        asked = asked_of(request)
        signer = await self._intake.signer(request, asked)
        if isinstance(signer, Refused):
            return refusals.of(signer)
        if not opened.sealed.has_member(signer):
            return refusals.denied("The device is no member of this round.", "wrong_subject")
        return _Caller(asked, opened, opened.sums, stage, signer)  # type: ignore[arg-type] # it is one of them

    async def _unproven(self, caller: _Caller) -> Refusal | None:
        """Return why a member may not begin: it is to hold what lets it have the weights, now."""
        if caller.stage != "advertise":
            return None
        shown = _shown(caller.asked)
        if shown is None or shown.subject != caller.name:
            return refusals.denied("Show this device's own capability to pull.", "wrong_subject")
        size = caller.opened.sealed.manifest.size_bytes
        beyond = await self._desk.reception.look(shown, "model_access", caller.opened.sealed.terms, size_bytes=size)
        return None if beyond is None else refusals.of(beyond)


def in_the_clear() -> Refusal:
    """403: an update that anybody could read, in a round of which sums of groups alone are seen."""
    detail = "Updates of this round are summed securely, and taken in no other way: nothing of the body was read."
    return refusals.denied(detail, "not_masked")


def _shown(asked: Asked) -> Credentials | None:
    found = presented(asked)
    return None if isinstance(found, Refused) else found[0]


def _beyond(asked: Asked, request: web.Request, limit: int) -> Refusal | None:
    """Return what is wrong with a body before it is read."""
    if request.content_type != SUMMING or "Content-Encoding" in request.headers:
        return refusals.media_type([SUMMING])
    size = body_bytes(asked)
    if size is None:
        return refusals.unsized()
    return refusals.over_limit(limit) if size > limit else None


def _over() -> Refusal:
    """409: a stage that has ended, or without this member."""
    return refusals.conflict("This stage of the sum is over, or goes on without this device.", "late")


def _refused(found: str) -> Refusal | None:
    if not found:
        return None
    if found in ("late", "twice", "stranger"):
        return _over()
    return refusals.unfit("This is no answer that this stage of the sum takes.", found)
