"""``/v1/identity``: signed records of identities for everybody; ``/v1/devices/self``: one's own, and another key."""

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import ProblemError, not_found, problem, too_many, unavailable
from controlplane.api.reading import address_of, neighbourhood, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.api.transparency import numbers
from controlplane.contracts.identity import Device
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.histories import RecordRefused
from controlplane.identifiers.records import Record, RecordInvalid, SignedRecord
from controlplane.identifiers.shown import (
    MOST_HISTORY,
    MOST_SHOWN,
    HistoryEntry,
    IdentityStanding,
    ShownRecords,
)
from controlplane.identity.ledgers.interface import LedgerLied

_log = structlog.get_logger("ztfm.devices")


async def read_records(request: web.Request) -> web.Response:
    """Return records of identities, in order, each with the proof that it is in the log; they hold no secret.

    Whoever reads keeps the checkpoint and what was read, and sees by the next answer whether anything was changed,
    left out or put in between (`ztfm identity check`).
    """
    services = request.app[SERVICES]
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        raise too_many(wait)
    asked = numbers(request, "after", "limit")
    if services.identity.shown is None:
        raise not_found("identity records here: they lie on another ledger")
    try:
        found = await services.identity.shown.records(asked["after"], max(1, min(asked["limit"], MOST_SHOWN)))
    except LedgerLied as error:
        raise unavailable(str(error)) from None
    return reply(found)


async def read_own(request: web.Request) -> web.Response:
    """Return how the caller's identity stands: what a rotation of its key must name, and its history."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    await administer(request, device, "device:read", "device", device.id, device.id)
    return reply(await _standing(services, device))


async def rotate_own(request: web.Request) -> web.Response:
    """Give the caller another key: a record, signed by the key that it has and consented to by the new one.

    From then on the old key is nobody's, and what it holds is void.
    """
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, SignedRecord)
    decision = await administer(request, device, "device:rotate_key", "device", device.id, device.id)
    # Taken before, and given back: between the two, nobody else can have the same one.
    wait = await services.limits.rotations.take(device.id)
    if wait:
        raise too_many(wait)
    try:
        record = body.read()
        await services.registry.rotate(device, record)
    except (RecordInvalid, RecordRefused) as error:
        await services.limits.rotations.charge(device.id, -1)
        raise _refused(error) from None
    _log.info("device_key", device=device.id, sequence=record.statement.sequence, decision_id=decision.id)
    changed = await services.registry.get(device.id)
    return reply(await _standing(services, changed or device))


async def _standing(services: Services, device: Device) -> IdentityStanding:
    known = await services.identity.records.known(device.id)
    if known is None or known.head is None:
        raise unavailable("The record of this identity is not made yet; ask again in some seconds.")
    history = await services.identity.records.history(device.id, MOST_HISTORY)
    return IdentityStanding(
        name=device.id,
        did=did_key(device.key),
        kind=known.kind,
        federation=services.federation,
        issuer=known.issuer,
        sequence=known.sequence,
        head=known.head,
        is_revoked=known.is_revoked,
        history=[_entry(one.record.read(), one.place) for one in history],
    )


def _entry(record: Record, place: int | None) -> HistoryEntry:
    said = record.statement
    return HistoryEntry(
        act=said.act,
        sequence=said.sequence,
        hash=record.hash,
        time_ms=said.time_ms,
        place=place,
        record=record.signed,
    )


def _refused(error: RecordInvalid | RecordRefused) -> ProblemError:
    return problem(
        "conflict",
        409,
        "The record may not be made",
        f"{error}. Read /v1/devices/self/identity, and sign a rotation that follows what it says.",
    )


def _number(name: str, text: str) -> Parameter:
    return Parameter(name, "query", text, {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, required=True)


ROUTES = (
    Route(
        "GET",
        "/v1/identity/records",
        read_records,
        "Signed records of identities, and the proof that they are in the log",
        replies={200: ShownRecords},
        problems=(400, 404, 429, 503),
        parameters=(
            _number("after", "How many of them are known: their numbers begin at 0."),
            _number("limit", f"How many; at most {MOST_SHOWN} come."),
        ),
    ),
    Route(
        "GET",
        "/v1/devices/self/identity",
        read_own,
        "How one's own identity stands",
        replies={200: IdentityStanding},
        problems=(401, 403, 429, 503),
        proof=True,
    ),
    Route(
        "POST",
        "/v1/devices/self/key",
        rotate_own,
        "Give oneself another key, by a record that both keys signed",
        body=SignedRecord,
        replies={200: IdentityStanding},
        problems=(400, 401, 403, 408, 409, 413, 415, 429, 503),
        proof=True,
    ),
)
