"""``/v1/log``: the transparency log as witnesses and auditors read it, and the proof that a decision is in it.

Heads, keys, growth and hashes are for everybody: they say nothing of what was decided. Entries and records are for
those whom policy lets read decisions.
"""

import re
from collections.abc import Mapping

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem, too_many, unavailable
from controlplane.api.reading import address_of, neighbourhood
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.audit.heads import LogRewritten
from controlplane.audit.reading import read_record
from controlplane.contracts.base import is_identifier
from controlplane.storage.log import Kept
from controlplane.transparency.proofs import (
    MOST_LEAVES,
    ConsistencyProof,
    Leaves,
    LoggedEntries,
    LoggedEntry,
    LogKeys,
    RecordProof,
)

_ID = re.compile(r"dec-[0-9a-f]{32}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")


async def read_keys(request: web.Request) -> web.Response:
    """Return the log's key and those of its witnesses; whoever verifies offline keeps them from a time of trust."""
    quorum = (await _for_everybody(request)).transparency.heads.quorum
    found = LogKeys(log=str(quorum.log), witnesses=[str(one) for one in quorum.witnesses], needed=quorum.needed)
    return reply(found)


async def read_checkpoint(request: web.Request) -> web.Response:
    """Return the latest signed head, a note with the cosignatures that came."""
    services = await _for_everybody(request)
    try:
        found = await services.transparency.heads.latest()
    except LogRewritten as error:
        raise unavailable(str(error)) from None
    if found is None:
        raise not_found("checkpoint")
    return web.Response(text=str(found[1]), headers={"Cache-Control": "no-cache"})


async def read_consistency(request: web.Request) -> web.Response:
    """Return the proof that the log only grew from one size to another, which was signed."""
    services = await _for_everybody(request)
    asked = numbers(request, "from", "to")
    earlier, later = asked["from"], asked["to"]
    if not earlier <= later <= await _signed(services):
        raise problem("not-found", 404, "There are no such sizes", "from <= to <= the size of the checkpoint.")
    try:
        hashes = await services.transparency.heads.grew(earlier, later)
    except LogRewritten as error:
        raise unavailable(str(error)) from None
    return reply(ConsistencyProof(earlier=earlier, later=later, hashes=[one.hex() for one in hashes]))


async def read_leaves(request: web.Request) -> web.Response:
    """Return hashes of entries, in order, which say nothing of them."""
    services = await _for_everybody(request)
    asked = numbers(request, "start", "count")
    found = await services.transparency.entries.leaves(asked["start"], min(asked["count"], MOST_LEAVES))
    return reply(Leaves(start=asked["start"], hashes=[one.hex() for one in found]))


async def read_entries(request: web.Request) -> web.Response:
    """Return entries in order, to those whom policy lets read all decisions: what each stands for, not what it says."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    asked = numbers(request, "start", "count")
    await administer(request, caller, "decision:list", "decision_log", "decisions", None)
    found = await services.transparency.entries.page(asked["start"], min(asked["count"], 1000))
    entries = [LoggedEntry(place=one.place, entry=one.entry, is_erased=one.salt is None) for one in found]
    return reply(LoggedEntries(entries=entries, size=await services.transparency.entries.size()))


async def prove_decision(request: web.Request) -> web.Response:
    """Return a recorded decision with the proof that it is in the log, to those whom policy lets read it."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not _ID.fullmatch(identifier):
        raise not_found("decision")
    document = await services.transparency.records.get(identifier)
    subject = None if document is None else read_record(identifier, document).subject
    owner = subject if subject is not None and is_identifier(subject) else None
    await administer(request, caller, "decision:read", "decision", identifier, owner)
    kept = None if document is None else await services.transparency.entries.find(identifier)
    if document is None or kept is None or kept.salt is None:
        raise not_found("proof of the decision")
    return reply(await _proof(services, kept, kept.salt, document))


async def _proof(services: Services, kept: Kept, salt: bytes, document: bytes) -> RecordProof:
    try:
        found = await services.transparency.heads.latest()
        if found is None or found[0].size <= kept.place:
            found = await services.transparency.heads.advance()
        if found is None or found[0].size <= kept.place:
            raise unavailable("The log has no head yet that holds this decision; ask again in a second.")
        checkpoint, note = found
        hashes = await services.transparency.heads.include(kept.place, checkpoint.size)
    except LogRewritten as error:
        raise unavailable(str(error)) from None
    return RecordProof(
        entry=kept.entry,
        place=kept.place,
        salt=salt.hex(),
        record=document.decode(),
        hashes=[one.hex() for one in hashes],
        checkpoint=str(note),
    )


async def _for_everybody(request: web.Request) -> Services:
    """Return the services for somebody who need not say who it is, and so has a stranger's allowance.

    Raises:
        ProblemError: 429.
    """
    services = request.app[SERVICES]
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        raise too_many(wait)
    return services


async def _signed(services: Services) -> int:
    try:
        found = await services.transparency.heads.latest()
    except LogRewritten as error:
        raise unavailable(str(error)) from None
    return 0 if found is None else found[0].size


def numbers(request: web.Request, *names: str) -> Mapping[str, int]:
    """Return the query's numbers.

    Raises:
        ProblemError: 400 for one that is missing, given twice or no number, or for another parameter.
    """
    given = dict(request.query)
    if len(given) != len(request.query) or given.keys() != set(names):
        raise problem(
            "invalid-request", 400, "The parameters do not fit", f"They are {' and '.join(names)}, once each."
        )
    for name, value in given.items():
        if not _NUMBER.fullmatch(value):
            raise problem("invalid-request", 400, f"The parameter {name} does not fit", "It is a whole number, from 0.")
    return {name: int(value) for name, value in given.items()}


def _number(name: str, text: str) -> Parameter:
    return Parameter(name, "query", text, {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, required=True)


ROUTES = (
    Route(
        "GET",
        "/v1/log/keys",
        read_keys,
        "The keys that verify the log and its witnesses",
        replies={200: LogKeys},
        problems=(429,),
    ),
    Route(
        "GET",
        "/v1/log/checkpoint",
        read_checkpoint,
        "The latest signed head of the log",
        problems=(404, 429, 503),
        media_type="text/plain",
    ),
    Route(
        "GET",
        "/v1/log/consistency",
        read_consistency,
        "The proof that the log only grew",
        replies={200: ConsistencyProof},
        problems=(400, 404, 429, 503),
        parameters=(_number("from", "Entries it had."), _number("to", "Entries it has.")),
    ),
    Route(
        "GET",
        "/v1/log/leaves",
        read_leaves,
        "Hashes of entries of the log",
        replies={200: Leaves},
        problems=(400, 429, 503),
        parameters=(_number("start", "Place of the first."), _number("count", "How many; at most 4096 come.")),
    ),
    Route(
        "GET",
        "/v1/log/entries",
        read_entries,
        "Entries of the log, without what they commit to",
        replies={200: LoggedEntries},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(_number("start", "Place of the first."), _number("count", "How many; at most 1000 come.")),
    ),
    Route(
        "GET",
        "/v1/decisions/{id}/proof",
        prove_decision,
        "A recorded decision and the proof that it is in the log",
        replies={200: RecordProof},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
