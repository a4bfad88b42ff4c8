"""``GET /v1/rounds``: which rounds there were, and what came of the updates of each, in numbers."""

import re
from typing import Any, get_args

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import invalid, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Identifier
from controlplane.contracts.rounds import MAX_ROUNDS, RoundQuery, RoundsFound, RoundState

ALL = "rounds"
"""The name of all rounds together, where policy decides about no single one."""

DEFAULT_LIMIT = 100

_LIMIT = re.compile(r"[0-9]{1,4}")
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
_NAMES = {*RoundQuery.model_fields, "limit"}


async def list_rounds(request: web.Request) -> web.Response:
    """Return rounds, newest first, to those whom policy lets read what devices contributed."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    query, limit = _asked(request)
    await administer(request, caller, "behaviour:read", "behaviour", ALL)
    return reply(RoundsFound(rounds=await services.training.rounds.standings(query, limit)))


def _asked(request: web.Request) -> tuple[RoundQuery, int]:
    """Return what is looked for, and how many at most.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given: dict[str, Any] = dict(request.query)
    is_twice = len(given) != len(request.query)
    if is_twice or given.keys() - _NAMES:
        what = "A parameter is given twice" if is_twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(_NAMES))}.")
    limit = given.pop("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_ROUNDS:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_ROUNDS}.")
    for name in ("since", "until"):
        if name in given and not _SECONDS.fullmatch(given[name]):
            raise problem("invalid-request", 400, f"The parameter {name} does not fit", "It is Unix time in seconds.")
        if name in given:
            given[name] = float(given[name])
    try:
        return RoundQuery.model_validate(given), int(limit)
    except ValidationError as error:
        raise invalid(error, given) from None


_IDENTIFIER: dict[str, Any] = TypeAdapter(Identifier).json_schema()
_TIME: dict[str, Any] = {"type": "string", "pattern": f"^{_SECONDS.pattern}$"}

ROUTES = (
    Route(
        "GET",
        "/v1/rounds",
        list_rounds,
        "List rounds, newest first, with what came of their updates",
        replies={200: RoundsFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("model", "query", "Rounds of this one alone.", _IDENTIFIER),
            Parameter("state", "query", "How they stand.", {"type": "string", "enum": list(get_args(RoundState))}),
            Parameter("since", "query", "Unix seconds; only rounds that opened at this time and later.", _TIME),
            Parameter("until", "query", "Unix seconds; only rounds that opened before this time.", _TIME),
            Parameter(
                "limit",
                "query",
                "How many at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_ROUNDS, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
)
