"""``/v1/decisions``: what was decided, and on which facts."""

import json
import re
from functools import partial
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.paging import Cursor, digest_of
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import invalid, not_found, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.audit.looking import look
from controlplane.contracts.base import Label, Name, ResourceName, is_identifier
from controlplane.contracts.decision import MAX_PAGE_TOKEN, DecisionQuery, DecisionRecord, DecisionsFound
from controlplane.decisions.logged import wanted_by
from controlplane.storage.decisions import LAST_ID, Decisions, FoundRecords

LOG = "decisions"
DEFAULT_LIMIT = 50
MAX_LIMIT = 200

_ID = re.compile(r"dec-[0-9a-f]{32}")
_LIMIT = re.compile(r"[0-9]{1,3}")
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
_NAMES = {*DecisionQuery.model_fields, "limit", "page_token"}


async def list_decisions(request: web.Request) -> web.Response:
    """Return recorded decisions, newest first, to those whom policy lets see them: operators all, a subject its own."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    query, limit, token = _asked(request)
    await administer(request, caller, "decision:list", "decision_log", LOG, _owner(query.subject))
    asker = digest_of(json.dumps([caller.id, LOG, query.model_dump()], sort_keys=True))
    before = _place(services, token, asker) or LAST_ID
    found = await look(partial(_page, services.transparency.records, query), query, before, limit)
    cursor = Cursor(after=found.before, properties=digest_of(LOG))
    following = "" if found.before is None else services.pages.make(cursor, asker)
    return reply(DecisionsFound(decisions=found.decisions, next_token=following))


def _owner(subject: str | None) -> str | None:
    """Return whose decisions these are; whoever bears a name that nobody can enrol with owns none."""
    return subject if subject is not None and is_identifier(subject) else None


async def _page(records: Decisions, query: DecisionQuery, before: str, limit: int, scan: int) -> FoundRecords:
    return await records.page(wanted_by(query, before), limit, scan)


def _asked(request: web.Request) -> tuple[DecisionQuery, int, str | None]:
    """Return what is looked for, how many a page, and the token of the page.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given: dict[str, Any] = dict(request.query)
    twice = len(given) != len(request.query)
    if twice or given.keys() - _NAMES:
        what = "A parameter is given twice" if twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(_NAMES))}.")
    token, limit = given.pop("page_token", None), given.pop("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_LIMIT}.")
    for name in ("since", "until"):
        if name in given:
            given[name] = _seconds(name, given[name])
    try:
        return DecisionQuery.model_validate(given), int(limit), token
    except ValidationError as error:
        raise invalid(error, given) from None


def _seconds(name: str, text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise problem("invalid-request", 400, f"The parameter {name} does not fit", "It is Unix time in seconds.")
    return float(text)


def _place(services: Services, token: str | None, asker: str) -> str | None:
    if token is None:
        return None
    cursor = services.pages.read(token, asker)
    if cursor is None:
        detail = "It has expired, or was given to another caller or for another query. Begin again without a token."
        raise problem("invalid-request", 400, "The page that is asked for cannot be given", detail)
    return cursor.after


async def read_decision(request: web.Request) -> web.Response:
    """Return a recorded decision to those whom policy lets read it: operators, and the subject itself."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not _ID.fullmatch(identifier):
        raise not_found("decision")
    record = await services.transparency.log.get(identifier)
    await administer(
        request, caller, "decision:read", "decision", identifier, _owner(record.subject if record else None)
    )
    if record is None:
        raise not_found("decision")
    return reply(record)


def _parameter(name: str, text: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", text, {"type": "string", **schema})


_NAME: dict[str, Any] = TypeAdapter(Name).json_schema()
_RESOURCE: dict[str, Any] = TypeAdapter(ResourceName).json_schema()
_LABEL: dict[str, Any] = TypeAdapter(Label).json_schema()

_PARAMETERS = (
    _parameter("action", "What was decided on; `admin` and `other` are all actions of theirs.", **_NAME),
    _parameter("outcome", "How it was decided.", enum=["allow", "deny", "error"]),
    _parameter("subject", "Who asked; whoever is no operator names itself.", **_NAME),
    _parameter("resource", "What was asked for.", **_RESOURCE),
    _parameter("reason", "The code of a requirement that was missing.", **_LABEL),
    _parameter("since", "Unix seconds; only decisions of this time and later.", pattern=f"^{_SECONDS.pattern}$"),
    _parameter("until", "Unix seconds; only decisions before this time.", pattern=f"^{_SECONDS.pattern}$"),
    _parameter("revision", "The policy revision that decided.", minLength=1, maxLength=128),
    Parameter(
        "limit",
        "query",
        "Decisions a page at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    _parameter("page_token", "`next_token` of the page before; the filters stay the same.", maxLength=MAX_PAGE_TOKEN),
)

ROUTES = (
    Route(
        "GET",
        "/v1/decisions",
        list_decisions,
        "Find recorded decisions, newest first",
        replies={200: DecisionsFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=_PARAMETERS,
    ),
    Route(
        "GET",
        "/v1/decisions/{id}",
        read_decision,
        "Read a recorded decision and the facts behind it",
        replies={200: DecisionRecord},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
