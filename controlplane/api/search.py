"""``/access/v1/search``: AuthZEN 1.0 searches, by asking of one candidate after the other what an evaluation asks.

So a search never says other than an evaluation would. Candidates are enrolled devices, and the names that the policy
bundle knows; each page asks of 256 at most.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.admin import administer
from controlplane.api.asking import answer, believe, read_question
from controlplane.api.authentication import authenticate
from controlplane.api.paging import Cursor, digest_of
from controlplane.api.problems import ProblemError, invalid, problem, too_many, unavailable
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.access import AnyAction, AnyResource, AnySubject, EvaluationRequest
from controlplane.contracts.decision import Decision
from controlplane.contracts.facts.other import CandidatesQuery
from controlplane.contracts.identity import Device
from controlplane.contracts.problem import FieldError
from controlplane.contracts.search import (
    DEFAULT_PAGE,
    MAX_PAGE,
    ActionSearch,
    ActionsFound,
    FoundAction,
    FoundResource,
    FoundSubject,
    Page,
    PageInfo,
    ResourceSearch,
    ResourcesFound,
    SearchContext,
    SearchedResource,
    SearchedSubject,
    SubjectSearch,
    SubjectsFound,
)
from controlplane.decisions.candidates import Candidate, CandidatesUnavailable
from controlplane.decisions.scanning import Scan, scan

Kind = Literal["subject", "resource", "action"]
Search = SubjectSearch | ResourceSearch | ActionSearch
_ANY_NAME = "any"


async def search_subjects(request: web.Request) -> web.Response:
    """Find the subjects of a type that may do this to that."""
    caller = await authenticate(request)
    body = await read_question(request, SubjectSearch)
    names, page, context = await _search(request, caller, "subject", body)
    found = [FoundSubject(type=body.subject.type, id=name) for name in names]
    return reply(SubjectsFound(page=page, context=context, results=found))


async def search_resources(request: web.Request) -> web.Response:
    """Find the resources of a type on which a subject may do this."""
    caller = await authenticate(request)
    body = await read_question(request, ResourceSearch)
    names, page, context = await _search(request, caller, "resource", body)
    found = [FoundResource(type=body.resource.type, id=name) for name in names]
    return reply(ResourcesFound(page=page, context=context, results=found))


async def search_actions(request: web.Request) -> web.Response:
    """Find what a subject may do to a resource."""
    caller = await authenticate(request)
    body = await read_question(request, ActionSearch)
    names, page, context = await _search(request, caller, "action", body)
    return reply(ActionsFound(page=page, context=context, results=[FoundAction(name=name) for name in names]))


def _asked(body: Search, name: str) -> EvaluationRequest:
    """Return what an evaluation would ask of the candidate ``name``."""
    subject, resource = body.subject, body.resource
    if isinstance(subject, SearchedSubject):
        subject = AnySubject(type=subject.type, id=name, properties=subject.properties)
    if isinstance(resource, SearchedResource):
        resource = AnyResource(type=resource.type, id=name, properties=resource.properties)
    action = AnyAction(name=name) if isinstance(body, ActionSearch) else body.action
    return EvaluationRequest(subject=subject, action=action, resource=resource, context=body.context)


async def _search(
    request: web.Request, caller: Device, kind: Kind, body: Search
) -> tuple[list[str], PageInfo, SearchContext]:
    services = request.app[SERVICES]
    query = _query(caller, kind, body)
    cursor = _cursor(request, body.page, query)
    _check(body)
    allowed = await administer(request, caller, "access:search", "search", kind)
    result = await _scan(request, caller, kind, body, cursor, allowed)
    services.metrics.decisions.searched(kind, result.asked)
    further = cursor.model_copy(update={"after": result.after or None})
    token = "" if result.after is None else services.pages.make(further, query)
    context = SearchContext(id=allowed.id, policy_revision=allowed.policy_revision)
    return result.found, PageInfo(next_token=token, count=len(result.found)), context


async def _scan(
    request: web.Request,
    caller: Device,
    kind: Kind,
    body: Search,
    cursor: Cursor,
    allowed: Decision,
) -> Scan:
    services = request.app[SERVICES]

    async def listing(after: str, limit: int) -> Sequence[Candidate]:
        # Each candidate costs what a request costs, as it is asked of: many searches at once get no further than one.
        wait = services.limits.callers.wait(caller.id)
        if wait:
            raise too_many(wait)
        query = CandidatesQuery(
            kind=kind, subject_type=body.subject.type, resource_type=body.resource.type, after=after, limit=limit
        )
        found = await services.candidates.list(query)
        await services.limits.callers.charge(caller.id, len(found))
        return found

    async def is_permitted(candidate: Candidate) -> bool:
        try:
            asked = believe(_asked(body, candidate.name), allowed.obligations.may_assert)
        except ValidationError:
            # An evaluation of this one would be no request, so it cannot be permitted.
            return False
        decision = await answer(request, asked, device=candidate.device, search=allowed.id)
        if decision.outcome == "error":
            raise unavailable("; ".join(reason.message for reason in decision.reasons))
        return decision.allowed

    limit = DEFAULT_PAGE if cursor.limit is None else min(cursor.limit, MAX_PAGE)
    try:
        return await scan(listing, is_permitted, cursor.after or "", limit)
    except CandidatesUnavailable as error:
        raise unavailable(f"The policy engine could not list candidates ({error.cause}).") from None


def _check(body: Search) -> None:
    """Refuse a search of which no candidate could be asked, before anything is."""
    asked = _asked(body, _ANY_NAME)
    try:
        believe(asked, ())
    except ValidationError as error:
        raise invalid(error, asked.model_dump()) from None


def _query(caller: Device, kind: Kind, body: Search) -> str:
    asked: dict[str, Any] = body.model_dump(exclude={"page"})
    return digest_of(json.dumps([caller.id, kind, asked], sort_keys=True))


def _cursor(request: web.Request, page: Page, query: str) -> Cursor:
    """Return where to go on.

    Raises:
        ProblemError: 400 for a token that does not hold, or a page that is not asked for as the one before.
    """
    stated = Cursor(limit=page.limit, properties=digest_of(json.dumps(page.properties, sort_keys=True)))
    if page.token is None:
        return stated
    found = request.app[SERVICES].pages.read(page.token, query)
    if found is None:
        raise _refused("/page/token", "It has expired, or was given to another caller or for another query.")
    for name in ("limit", "properties"):
        if name in page.model_fields_set and getattr(stated, name) != getattr(found, name):
            raise _refused(f"/page/{name}", "It must be what it was for the page before, or be left out.")
    return found


def _refused(pointer: str, detail: str) -> ProblemError:
    what = "The page that is asked for cannot be given"
    error = problem("invalid-request", 400, what, "Begin again without a token.")
    error.problem = error.problem.model_copy(update={"errors": [FieldError(pointer=pointer, detail=detail)]})
    return error


_PROBLEMS = (400, 401, 403, 408, 413, 415, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/access/v1/search/subject",
        search_subjects,
        "Find the subjects that may do this to that (AuthZEN 1.0)",
        body=SubjectSearch,
        replies={200: SubjectsFound},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "POST",
        "/access/v1/search/resource",
        search_resources,
        "Find the resources on which a subject may do this (AuthZEN 1.0)",
        body=ResourceSearch,
        replies={200: ResourcesFound},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "POST",
        "/access/v1/search/action",
        search_actions,
        "Find what a subject may do to a resource (AuthZEN 1.0)",
        body=ActionSearch,
        replies={200: ActionsFound},
        problems=_PROBLEMS,
        proof=True,
    ),
)
