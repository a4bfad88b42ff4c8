"""``/v1/segments/attachments``: where devices are on the network, as whoever runs the network says."""

import re
from contextlib import suppress

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import ProblemError, not_found, problem, unavailable
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.attachments import MAX_ATTACHMENTS, MAX_PAGE, AttachmentsFound, AttachmentStated
from controlplane.contracts.base import is_identifier
from controlplane.contracts.segmentation import Attachment
from controlplane.storage import StoreUnavailable

BOOK = "attachments"
"""The name of all attachments together, where policy decides about no single one."""

DEFAULT_LIMIT = 100

_LIMIT = re.compile(r"[0-9]{1,4}")
_log = structlog.get_logger("ztfm.segments")


async def record_attachment(request: web.Request) -> web.Response:
    """Keep where a device is, in place of where it was: what it reached from there ends."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, AttachmentStated)
    device = _named(request)
    decision = await administer(request, caller, "attachment:record", "attachment", device)
    if await _is_of_a_service(services, body.address):
        detail = "A device that had it would be taken for the service."
        raise problem("conflict", 409, "A service of data/services listens at this address", detail)
    attachment = Attachment(device=device, **body.model_dump(), recorded_at=services.clock())
    found = await services.segmentation.attachments.attach(attachment, caller.id)
    if found == "unknown":
        raise not_found("device")
    if found != "kept":
        raise _conflict(found)
    await _known(services)
    services.metrics.segments.changes.labels("recorded").inc()
    _log.info("attachment_recorded", by=caller.id, decision_id=decision.id, **attachment.model_dump())
    return reply(attachment)


async def list_attachments(request: web.Request) -> web.Response:
    """Return where devices are, in order of device."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    after, limit = _asked(request)
    await administer(request, caller, "attachment:list", "attachment", BOOK)
    found = await services.segmentation.attachments.attached(after, limit + 1)
    more = found[limit - 1].device if len(found) > limit else None
    return reply(AttachmentsFound(attachments=found[:limit], after=more, known=services.segmentation.attached.is_known))


async def read_attachment(request: web.Request) -> web.Response:
    """Return where a device is."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    device = _named(request)
    await administer(request, caller, "attachment:list", "attachment", device)
    found = await services.segmentation.attachments.get(device)
    if found is None:
        raise not_found("attachment")
    return reply(found)


async def remove_attachment(request: web.Request) -> web.Response:
    """Forget where a device is: within a second no router lets it through."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    device = _named(request)
    decision = await administer(request, caller, "attachment:remove", "attachment", device)
    if not await services.segmentation.attachments.detach(device):
        raise not_found("attachment")
    await _known(services)
    services.metrics.segments.changes.labels("removed").inc()
    _log.info("attachment_removed", device=device, by=caller.id, decision_id=decision.id)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def _known(services: Services) -> None:
    # It is kept, so where this fails the next look at the store takes it in.
    with suppress(StoreUnavailable):
        await services.segmentation.attached.refresh()


async def _is_of_a_service(services: Services, address: str) -> bool:
    reachable = await services.segmentation.reachable.reachable()
    if reachable is None:
        raise unavailable("Policy does not tell where services listen, so nobody's address is believed; ask again.")
    return any(address in one.addresses for one in reachable.services.values())


def _conflict(found: str) -> ProblemError:
    if found == "taken":
        detail = "Packets say from which address they come, not from which device: give each device one of its own."
        return problem("conflict", 409, "Another device has this address, or this tunnel's key", detail)
    detail = f"At most {MAX_ATTACHMENTS} are kept. Remove those of devices that are gone."
    return problem("conflict", 409, "There are too many attachments", detail)


def _named(request: web.Request) -> str:
    name = request.match_info["id"]
    if not is_identifier(name):
        raise not_found("device")
    return name


def _asked(request: web.Request) -> tuple[str, int]:
    if len(set(request.query)) != len(request.query) or request.query.keys() - {"after", "limit"}:
        raise problem("invalid-request", 400, "A parameter is given twice, or is not known", "Known: after, limit.")
    after, limit = request.query.get("after"), request.query.get("limit", str(DEFAULT_LIMIT))
    if after is not None and not is_identifier(after):
        raise problem("invalid-request", 400, "`after` is no name of a device", "Take it from the page before.")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_PAGE}.")
    return after or "", int(limit)


_PATH = "/v1/segments/attachments"
_PROBLEMS = (401, 403, 429, 503)
_DEVICE = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"}

ROUTES = (
    Route(
        "GET",
        _PATH,
        list_attachments,
        "List where devices are on the network",
        replies={200: AttachmentsFound},
        problems=(400, *_PROBLEMS),
        proof=True,
        people=True,
        parameters=(
            Parameter("after", "query", "Go on after this device.", _DEVICE),
            Parameter(
                "limit",
                "query",
                "Attachments at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
    Route(
        "PUT",
        _PATH + "/{id}",
        record_attachment,
        "Record where a device is on the network",
        body=AttachmentStated,
        replies={200: Attachment},
        problems=(400, *_PROBLEMS, 404, 408, 409, 413, 415),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        _PATH + "/{id}",
        read_attachment,
        "Read where a device is on the network",
        replies={200: Attachment},
        problems=(*_PROBLEMS, 404),
        proof=True,
        people=True,
    ),
    Route(
        "DELETE",
        _PATH + "/{id}",
        remove_attachment,
        "Forget where a device is on the network; nothing lets it through any more",
        replies={204: None},
        problems=(*_PROBLEMS, 404),
        media_type="",
        proof=True,
        people=True,
    ),
)
