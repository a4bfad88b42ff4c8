"""``GET /v1/changes/devices``: what happened to devices lately, such as today."""

import re
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from controlplane.api.admin import administer
from controlplane.api.devices_listed import ALL
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Identifier, is_identifier
from controlplane.contracts.devices import MAX_CHANGES, DeviceChanges
from controlplane.storage.device_changes import Within

DAY_SECONDS = 86_400.0
DEFAULT_LIMIT = 100

_LIMIT = re.compile(r"[0-9]{1,3}")
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
_NAMES = {"device", "limit", "since", "until"}


async def list_changes(request: web.Request) -> web.Response:
    """Return what happened to devices, newest first, to those whom policy lets list them."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    wanted = _asked(request, services.clock())
    await administer(request, caller, "device:list", "device", wanted.device or ALL)
    found, since = await services.device_changes.page(wanted)
    return reply(DeviceChanges(changes=found, since=since))


def _asked(request: web.Request, now: float) -> Within:
    """Return what is looked for.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given = dict(request.query)
    is_twice = len(given) != len(request.query)
    if is_twice or given.keys() - _NAMES:
        what = "A parameter is given twice" if is_twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(_NAMES))}.")
    limit, device = given.get("limit", str(DEFAULT_LIMIT)), given.get("device")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_CHANGES:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_CHANGES}.")
    if device is not None and not is_identifier(device):
        raise problem("invalid-request", 400, "`device` is no name of a device")
    for name in ("since", "until"):
        if not _SECONDS.fullmatch(given.get(name, "0")):
            raise problem("invalid-request", 400, f"The parameter {name} does not fit", "It is Unix time in seconds.")
    until = float(given["until"]) if "until" in given else now + 1.0
    since = float(given["since"]) if "since" in given else until - DAY_SECONDS
    return Within(max(0.0, since), until, device, int(limit))


def _parameter(name: str, text: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", text, {"type": "string", **schema})


_IDENTIFIER: dict[str, Any] = TypeAdapter(Identifier).json_schema()
_TIME = f"^{_SECONDS.pattern}$"

ROUTES = (
    Route(
        "GET",
        "/v1/changes/devices",
        list_changes,
        "List what happened to devices: enrolled, attested, placed, judged, set apart and let back, newest first",
        replies={200: DeviceChanges},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            _parameter("device", "What happened to this one alone.", **_IDENTIFIER),
            _parameter(
                "since", "Unix seconds; of this time and later. A day before `until` without it.", pattern=_TIME
            ),
            _parameter("until", "Unix seconds; before this time. Now without it.", pattern=_TIME),
            Parameter(
                "limit",
                "query",
                "Changes at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_CHANGES, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
)
