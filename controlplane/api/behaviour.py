"""``/v1/behaviour`` and ``/v1/devices/{id}/behaviour``: how subjects stand by their behaviour, and why."""

import asyncio
import re
from typing import Any, TypeVar, get_args

from aiohttp import web
from pydantic import TypeAdapter

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Label, is_identifier
from controlplane.contracts.behaviour import BehaviourState, Verdict
from controlplane.contracts.identity import Device
from controlplane.contracts.observed import Kept
from controlplane.contracts.standing import MAX_STANDINGS, MAX_VERDICTS, BehaviourFound, DeviceBehaviour, StandingOrder

Choice = TypeVar("Choice", bound=str)

ALL = "behaviour"
DEFAULT_LIMIT = 50

_STATES: tuple[BehaviourState, ...] = get_args(BehaviourState)
_ORDERS: tuple[StandingOrder, ...] = get_args(StandingOrder)
_LABEL: dict[str, Any] = TypeAdapter(Label).json_schema()
_LIMIT = re.compile(r"[0-9]{1,3}")
_VERDICTS = 20


async def read_behaviour(request: web.Request) -> web.Response:
    """Return how a device stands and why, to those whom policy lets read it: operators, administrators, the device."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not is_identifier(identifier):
        raise not_found("device")
    limit = _limit(request, {"limit"}, _VERDICTS, MAX_VERDICTS)
    await administer(request, caller, "behaviour:read", "behaviour", identifier, identifier)
    device = await services.registry.get(identifier)
    kept, verdicts = await asyncio.gather(
        services.behaviour.subjects.kept([identifier]), services.behaviour.observations.verdicts(identifier, limit)
    )
    if device is None or identifier not in kept:
        raise not_found("device")
    return reply(described(device, kept[identifier], verdicts))


async def list_behaviour(request: web.Request) -> web.Response:
    """Return subjects that most speaks against, or that are trusted least, to those whom policy lets read it."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    limit = _limit(request, {"state", "segment", "order", "limit"}, DEFAULT_LIMIT, MAX_STANDINGS)
    state = _one_of(request, "state", _STATES)
    order = _one_of(request, "order", _ORDERS) or "evidence"
    segment = request.query.get("segment")
    if segment is not None and re.fullmatch(_LABEL["pattern"], segment) is None:
        raise problem("invalid-request", 400, "The segment does not fit", "It is the name of one, such as homes.")
    await administer(request, caller, "behaviour:read", "behaviour", ALL)
    found = await services.behaviour.subjects.standings(state, limit, segment=segment, order=order)
    return reply(BehaviourFound(subjects=found))


def described(device: Device, kept: Kept, verdicts: list[Verdict]) -> DeviceBehaviour:
    """Return how a device stands, of what is kept of it."""
    record = kept.record
    wealth = record.wealth if record else {}
    return DeviceBehaviour(
        subject=device.id,
        segment=device.segment,
        status=kept.status,
        held=kept.status == "quarantined" and (record is None or record.state != "quarantined"),
        state=record.state if record else "watched",
        since=record.since if record else None,
        e_value=kept.e_value,
        trust=kept.trust,
        observed_at=record.observed_at if record else None,
        e_values={name: min(1e12, one.active + one.waiting) for name, one in wealth.items()},
        conforming=record.conforming if record else 0.0,
        deviating=record.deviating if record else 0.0,
        verdicts=verdicts,
    )


def _one_of(request: web.Request, name: str, known: tuple[Choice, ...]) -> Choice | None:
    """Return one of the known values; none when the parameter is not given.

    Raises:
        ProblemError: 400 for another.
    """
    given = request.query.get(name)
    found = next((one for one in known if one == given), None)
    if given is not None and found is None:
        raise problem("invalid-request", 400, f"There is no such {name}", f"It is one of {', '.join(known)}.")
    return found


def _limit(request: web.Request, known: set[str], default: int, most: int) -> int:
    """Return how many are asked for.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given = dict(request.query)
    is_twice = len(given) != len(request.query)
    if is_twice or given.keys() - known:
        what = "A parameter is given twice" if is_twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(known))}.")
    text = given.get("limit", str(default))
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= most:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {most}.")
    return int(text)


def _limit_parameter(what: str, default: int, most: int) -> Parameter:
    return Parameter("limit", "query", what, {"type": "integer", "minimum": 1, "maximum": most, "default": default})


ROUTES = (
    Route(
        "GET",
        "/v1/devices/{id}/behaviour",
        read_behaviour,
        "Read how a device stands by its behaviour, and the latest verdicts on it",
        replies={200: DeviceBehaviour},
        problems=(400, 401, 403, 404, 429, 503),
        proof=True,
        people=True,
        parameters=(_limit_parameter("Verdicts at most, newest first.", _VERDICTS, MAX_VERDICTS),),
    ),
    Route(
        "GET",
        "/v1/behaviour",
        list_behaviour,
        "List subjects by the evidence against them, or by trust",
        replies={200: BehaviourFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("state", "query", "Subjects in this state alone.", {"type": "string", "enum": list(_STATES)}),
            Parameter("segment", "query", "Subjects of this segment alone.", _LABEL),
            Parameter(
                "order",
                "query",
                "By the evidence against them, most first, or by trust, least first.",
                {"type": "string", "enum": list(_ORDERS), "default": "evidence"},
            ),
            _limit_parameter("Subjects at most.", DEFAULT_LIMIT, MAX_STANDINGS),
        ),
    ),
)
