"""``/v1/segments``: the table that routers enforce, and what it lets through."""

import re
from ipaddress import ip_address

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import as_known_now
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import problem, unavailable
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.attachments import ReachFound
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Person
from controlplane.contracts.segmentation import GrantTable
from controlplane.decisions.reaching import ReachQuestion, reaching
from controlplane.decisions.segment_tables import MadeTable
from controlplane.segmentation.flows import TooManyFlows

TABLE = "table"
"""The name of the table of grants."""

MAX_WAIT_SECONDS = 30

_WAIT = re.compile(r"[0-9]{1,2}")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")
_UNTOLD = "Policy does not tell what can be reached; keep the table that you have, its grants end by themselves."


async def read_table(request: web.Request) -> web.Response:
    """Return the whole table of grants: what is in force afterwards is this, and nothing of before.

    With ``If-None-Match`` and ``wait``, the answer comes as soon as there is another table, or 304 after so many
    seconds.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    wait = _wait(request)
    known = next((tag.value for tag in request.if_none_match or ()), "")
    await administer(request, caller, "segments:table", "segments", TABLE)
    tables = services.segmentation.tables
    if known and wait:
        made = await tables.another(known, wait)
        if isinstance(caller, Person) or await as_known_now(request, caller) != caller:
            # It may have been shut out while it waited.
            await administer(request, caller, "segments:table", "segments", TABLE)
    else:
        made = await tables.current()
    if made is None:
        raise unavailable(_UNTOLD)
    return _table(made, known)


async def read_reach(request: web.Request) -> web.Response:
    """Say what the rules let through that the table compiles to: for devices of a place, or for an address."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    question = _question(request)
    await administer(request, caller, "segments:reach", "segments", TABLE)
    made = await services.segmentation.tables.current()
    if made is None:
        raise unavailable(_UNTOLD)
    try:
        return reply(await reaching(question, made.table, services.segmentation.attached.all(), services.clock()))
    except TooManyFlows as error:
        raise unavailable(f"The table cannot be compiled: {error}.") from None


def _table(made: MadeTable, known: str) -> web.Response:
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{made.table.revision}"'}
    if known == made.table.revision:
        return web.Response(status=304, headers=headers)
    return web.Response(body=made.body, content_type="application/json", headers=headers)


def _wait(request: web.Request) -> int:
    _once(request, {"wait"})
    stated = request.query.get("wait", "0")
    if not _WAIT.fullmatch(stated) or int(stated) > MAX_WAIT_SECONDS:
        raise problem("invalid-request", 400, "The wait does not fit", f"It is 0 to {MAX_WAIT_SECONDS} whole seconds.")
    return int(stated)


def _question(request: web.Request) -> ReachQuestion:
    _once(request, {parameter.name for parameter in _QUESTION})
    asked = request.query
    protocol = asked.get("protocol", "tcp")
    if protocol not in ("tcp", "udp"):
        raise problem("invalid-request", 400, "There is no such protocol", "It is tcp or udp.")
    for name in ("site", "line", "device_class", "service"):
        if name in asked and not _LABEL.fullmatch(asked[name]):
            raise problem("invalid-request", 400, f"`{name}` is no label", "Labels are lower-case words.")
    if "device" in asked and not is_identifier(asked["device"]):
        raise problem("invalid-request", 400, "`device` is no name of a device")
    port = asked.get("port")
    if port is not None and (not _PORT.fullmatch(port) or not 1 <= int(port) <= 65_535):
        raise problem("invalid-request", 400, "The port does not fit", "It is a number from 1 to 65535.")
    return ReachQuestion(
        device=asked.get("device"),
        source=_address(asked.get("source")),
        site=asked.get("site"),
        line=asked.get("line"),
        device_class=asked.get("device_class"),
        service=asked.get("service"),
        destination=_address(asked.get("destination")),
        port=None if port is None else int(port),
        protocol="udp" if protocol == "udp" else "tcp",
    )


def _address(stated: str | None) -> str | None:
    if stated is None:
        return None
    try:
        found = str(ip_address(stated))
    except ValueError:
        found = "%"
    if "%" in found:
        raise problem("invalid-request", 400, "An address is none", "Write an IPv4 or IPv6 address, without a zone.")
    return found


def _once(request: web.Request, names: set[str]) -> None:
    if len(set(request.query)) != len(request.query) or request.query.keys() - names:
        what = "A parameter is given twice, or is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(names))}.")


_TAG = {"type": "string"}
_NAMED = {"type": "string", "pattern": f"^{_LABEL.pattern}$"}
_AT = {"type": "string", "minLength": 2, "maxLength": 45, "pattern": "^[0-9A-Fa-f.:]+$"}
_QUESTION = (
    Parameter(
        "device", "query", "Of this device.", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"}
    ),
    Parameter("source", "query", "From this address, whoever has it.", _AT),
    Parameter("site", "query", "Of devices at this site.", _NAMED),
    Parameter("line", "query", "Of devices on this line.", _NAMED),
    Parameter("device_class", "query", "Of devices of this class.", _NAMED),
    Parameter("service", "query", "To this service of data/services.", _NAMED),
    Parameter("destination", "query", "To this address.", _AT),
    Parameter("port", "query", "To this port.", {"type": "integer", "minimum": 1, "maximum": 65_535}),
    Parameter("protocol", "query", "Of the port.", {"type": "string", "enum": ["tcp", "udp"], "default": "tcp"}),
)

ROUTES = (
    Route(
        "GET",
        "/v1/segments/table",
        read_table,
        "Read the table of grants that routers enforce, or wait for another one",
        replies={200: GrantTable, 304: None},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("If-None-Match", "header", "The ETag of the table that the caller has (RFC 9110, 13.1.2).", _TAG),
            Parameter(
                "wait",
                "query",
                "Seconds to wait for a table of another ETag.",
                {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/segments/reach",
        read_reach,
        "Ask what can be reached, by the compiled rules",
        replies={200: ReachFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=_QUESTION,
    ),
)
