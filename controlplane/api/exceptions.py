"""``/v1/exceptions``: what is excepted for whom and until when, as administrators grant and revoke it."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.paging import Cursor, digest_of
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import invalid, not_found, problem
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.base import Identifier
from controlplane.contracts.decision import MAX_PAGE_TOKEN, Decision
from controlplane.contracts.exceptions import (
    EXCEPTION_PREFIX,
    MAX_ALIKE,
    ExceptionQuery,
    ExceptionRequest,
    ExceptionsFound,
    GrantedException,
    granted,
)
from controlplane.contracts.identity import Caller
from controlplane.decisions.ids import new_id
from controlplane.storage import StoreUnavailable
from controlplane.storage.decisions import LAST_ID

BOOK = "exceptions"
"""The name of all exceptions together, where policy decides about no single one."""

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

_ID = re.compile(rf"{EXCEPTION_PREFIX}-[0-9a-f]{{32}}")
_LIMIT = re.compile(r"[0-9]{1,3}")
_NAMES = {*ExceptionQuery.model_fields, "limit", "page_token"}
_log = structlog.get_logger("ztfm.exceptions")


async def grant_exception(request: web.Request) -> web.Response:
    """Grant an exception for a time, as the administrator who asks; nobody grants one to itself."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, ExceptionRequest)
    now = services.clock()
    if body.ends_at <= now:
        raise problem("invalid-request", 400, "The exception would have ended already", "`ends_at` is in the past.")
    lasts = body.ends_at - (now if body.starts_at is None else body.starts_at)
    # Before a kept answer is looked for: only who may still grant it is told again what was granted.
    decision = await administer(
        request, caller, "exception:grant", "exception", BOOK, body.subject, lasts_seconds=lasts, waives=body.waives
    )
    return await services.repeats.once(request, caller.id, lambda: _grant(services, caller, body, decision, now))


async def _grant(
    services: Services, caller: Caller, body: ExceptionRequest, decision: Decision, now: float
) -> web.Response:
    made = granted(body, new_id(EXCEPTION_PREFIX, now), caller.id, now)
    if not await services.interventions.exceptions.add(made):
        detail = f"At most {MAX_ALIKE} are for one subject, resource and action. Revoke those that are not needed."
        raise problem("conflict", 409, "There are too many exceptions that have not ended", detail)
    await _take_in(services)
    _log.info("exception_granted", **made.model_dump(include=_SHOWN), decision_id=decision.id)
    return reply(made, 201)


async def revoke_exception(request: web.Request) -> web.Response:
    """End an exception now: it counts nowhere within a second. One that has ended stays as it is."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = request.match_info["id"]
    is_name = _ID.fullmatch(name) is not None
    decision = await administer(request, caller, "exception:revoke", "exception", name if is_name else BOOK)
    if not is_name:
        raise not_found("exception")
    now = services.clock()
    is_ended = await services.interventions.exceptions.revoke(name, caller.id, now)
    found = await services.interventions.exceptions.get(name, now)
    if found is None:
        raise not_found("exception")
    if is_ended:
        await _take_in(services)
        _log.info("exception_revoked", exception=name, by=caller.id, decision_id=decision.id)
    return reply(found)


async def list_exceptions(request: web.Request) -> web.Response:
    """Return granted exceptions, newest first; those of a bundle are in its data."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    query, limit, token = _asked(request.query)
    await administer(request, caller, "exception:list", "exception", BOOK, query.subject)
    asker = digest_of(json.dumps([caller.id, BOOK, query.model_dump()], sort_keys=True))
    before = _place(services, token, asker)
    states = () if query.state == "all" else (query.state,)
    found = await services.interventions.exceptions.page(services.clock(), states, query.subject, before, limit + 1)
    shown, following = found[:limit], ""
    if len(found) > limit:
        following = services.pages.make(Cursor(after=shown[-1].id, properties=digest_of(BOOK)), asker)
    return reply(ExceptionsFound(exceptions=shown, next_token=following))


async def _take_in(services: Services) -> None:
    # It is kept, so where this fails the next look at the store takes it in.
    with suppress(StoreUnavailable):
        await services.interventions.excepted.refresh()


def _asked(query: Mapping[str, str]) -> tuple[ExceptionQuery, int, str | None]:
    given: dict[str, Any] = dict(query)
    if len(given) != len(query) or given.keys() - _NAMES:
        what = "A parameter is given twice, or is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(_NAMES))}.")
    token, limit = given.pop("page_token", None), given.pop("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_LIMIT}.")
    try:
        return ExceptionQuery.model_validate(given), int(limit), token
    except ValidationError as error:
        raise invalid(error, given) from None


def _place(services: Services, token: str | None, asker: str) -> str:
    if token is None:
        return LAST_ID
    cursor = services.pages.read(token, asker)
    if cursor is None or cursor.after is None:
        detail = "It has expired, or was given to another caller or for another query. Begin again without a token."
        raise problem("invalid-request", 400, "The page that is asked for cannot be given", detail)
    return cursor.after


_SHOWN = {"id", "subject", "resource", "action", "waives", "approver", "starts_at", "ends_at"}
_SUBJECT: dict[str, Any] = TypeAdapter(Identifier).json_schema()
_STATES = ["scheduled", "current", "expired", "revoked", "all"]

_PARAMETERS = (
    Parameter("subject", "query", "Whom they are for.", {"type": "string", **_SUBJECT}),
    Parameter("state", "query", "How they stand.", {"type": "string", "enum": _STATES, "default": "current"}),
    Parameter(
        "limit",
        "query",
        "Exceptions a page at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    Parameter(
        "page_token",
        "query",
        "`next_token` of the page before; the filters stay the same.",
        {"type": "string", "maxLength": MAX_PAGE_TOKEN},
    ),
)

ROUTES = (
    Route(
        "POST",
        "/v1/exceptions",
        grant_exception,
        "Grant an exception for a time",
        body=ExceptionRequest,
        replies={201: GrantedException},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
        idempotent=True,
    ),
    Route(
        "GET",
        "/v1/exceptions",
        list_exceptions,
        "List granted exceptions, newest first",
        replies={200: ExceptionsFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=_PARAMETERS,
    ),
    Route(
        "POST",
        "/v1/exceptions/{id}/revoke",
        revoke_exception,
        "Revoke an exception at once",
        replies={200: GrantedException},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
