"""``GET /v1/devices``: who is enrolled, where each stands, and how far it is trusted and proven."""

import asyncio
import json
import re
from typing import Any, get_args

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.paging import Cursor, digest_of
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import invalid, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.base import Label
from controlplane.contracts.decision import MAX_PAGE_TOKEN
from controlplane.contracts.devices import (
    MAX_DEVICES,
    DeviceOrder,
    DeviceQuery,
    DevicesFound,
    SearchText,
    Stands,
)
from controlplane.contracts.identity import DeviceStatus
from controlplane.storage.fleet import Member, Place

ALL = "devices"
"""The name of all devices together, where policy decides about no single one."""

DEFAULT_LIMIT = 100

_LIMIT = re.compile(r"[0-9]{1,4}")
_SHARE = re.compile(r"[01](\.[0-9]{1,20})?|[0-9](\.[0-9]{1,20})?[eE]-[0-9]{1,3}")
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
_ORDERS: tuple[DeviceOrder, ...] = get_args(DeviceOrder)
_NAMES = {*DeviceQuery.model_fields, "sort", "limit", "page_token"}


async def list_devices(request: web.Request) -> web.Response:
    """Return a page of devices to those whom policy lets list them: operators and administrators."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    query, order, limit, token = _asked(request)
    await administer(request, caller, "device:list", "device", ALL)
    asker = digest_of(json.dumps([caller.id, ALL, order, query.model_dump()], sort_keys=True))
    after = _place(services, token, asker)
    fleet = services.fleet
    found, total = await asyncio.gather(
        fleet.page(query, services.clock(), after, limit + 1, order), fleet.count(query)
    )
    following = _token(services, found[limit - 1], asker) if len(found) > limit else ""
    listed = [member.listed() for member in found[:limit]]
    return reply(DevicesFound(devices=listed, total=total, next_token=following))


def _asked(request: web.Request) -> tuple[DeviceQuery, DeviceOrder, int, str | None]:
    """Return what is looked for, in which order, how many a page, and the token of the page.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given: dict[str, Any] = dict(request.query)
    is_twice = len(given) != len(request.query)
    if is_twice or given.keys() - _NAMES:
        what = "A parameter is given twice" if is_twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(_NAMES))}.")
    token, limit, sort = given.pop("page_token", None), given.pop("limit", str(DEFAULT_LIMIT)), given.pop("sort", "id")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_DEVICES:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_DEVICES}.")
    order = next((one for one in _ORDERS if one == sort), None)
    if order is None:
        raise problem("invalid-request", 400, "There is no such order", f"It is one of {', '.join(_ORDERS)}.")
    for name, pattern, what in (("below", _SHARE, "a number from 0 to 1"), ("since", _SECONDS, "Unix seconds")):
        if name in given and not pattern.fullmatch(given[name]):
            raise problem("invalid-request", 400, f"The parameter {name} does not fit", f"It is {what}.")
        if name in given:
            given[name] = float(given[name])
    try:
        return DeviceQuery.model_validate(given), order, int(limit), token
    except ValidationError as error:
        raise invalid(error, given) from None


def _place(services: Services, token: str | None, asker: str) -> Place | None:
    if token is None:
        return None
    cursor = services.pages.read(token, asker)
    if cursor is None or cursor.after is None:
        detail = "It has expired, or was given to another caller or for another query. Begin again without a token."
        raise problem("invalid-request", 400, "The page that is asked for cannot be given", detail)
    trust, _, name = cursor.after.partition(" ")
    return Place(float(trust), name)


def _token(services: Services, last: Member, asker: str) -> str:
    after = f"{last.place.trust!r} {last.place.id}"
    return services.pages.make(Cursor(after=after, properties=digest_of(ALL)), asker)


def _parameter(name: str, text: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", text, {"type": "string", **schema})


_LABEL: dict[str, Any] = TypeAdapter(Label).json_schema()
_TEXT: dict[str, Any] = TypeAdapter(SearchText).json_schema()

ROUTES = (
    Route(
        "GET",
        "/v1/devices",
        list_devices,
        "List who is enrolled, where each stands, and how far it is trusted and proven",
        replies={200: DevicesFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            _parameter("status", "Of the device.", enum=list(get_args(DeviceStatus))),
            _parameter("state", "Where it stands, in a word.", enum=list(get_args(Stands))),
            _parameter("segment", "Where it lives.", **_LABEL),
            Parameter("below", "query", "Less trust than this.", {"type": "number", "minimum": 0, "maximum": 1}),
            _parameter("text", "A part of its id, a role or the segment, whatever the case.", **_TEXT),
            _parameter("since", "Unix seconds; enrolled at this time and later.", pattern=f"^{_SECONDS.pattern}$"),
            _parameter("sort", "By id, or by trust, least first.", enum=list(_ORDERS), default="id"),
            Parameter(
                "limit",
                "query",
                "Devices a page at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_DEVICES, "default": DEFAULT_LIMIT},
            ),
            _parameter(
                "page_token", "`next_token` of the page before; the filters stay the same.", maxLength=MAX_PAGE_TOKEN
            ),
        ),
    ),
)
