"""``/v1/keys``: the signing keys, for those who keep them. The public parts are at ``/.well-known/jwks.json``."""

import re

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.keys import KeyStanding, KeyStandings, KeyWithdrawal

RING = "ring"
"""The name of all keys together, where policy decides about no single one."""

_KID = re.compile(r"[A-Za-z0-9_-]{43}")
_log = structlog.get_logger("ztfm.keys")


async def list_keys(request: web.Request) -> web.Response:
    """Return where every signing key stands; nothing secret."""
    caller = await authenticate_administrator(request)
    await administer(request, caller, "key:read", "key", RING)
    return reply(KeyStandings(keys=list(request.app[SERVICES].capabilities.keys.ring.standings())))


async def rotate_keys(request: web.Request) -> web.Response:
    """Publish the next signing key, which signs after the overlap; while one waits already, return that one."""
    caller = await authenticate_administrator(request)
    decision = await administer(request, caller, "key:rotate", "key", RING)
    following = await request.app[SERVICES].capabilities.keys.rotate()
    _log.info("signing_key_rotation", kid=following.kid, signs_from=following.signs_from, decision_id=decision.id)
    return reply(following, 202)


async def withdraw_key(request: web.Request) -> web.Response:
    """Take a compromised key out of the key set at once; whatever it signed holds no more."""
    caller = await authenticate_administrator(request)
    kid = request.match_info["id"]
    body = await read_body(request, KeyWithdrawal)
    decision = await administer(request, caller, "key:withdraw", "key", f"kid:{kid}" if _KID.fullmatch(kid) else RING)
    withdrawn = await request.app[SERVICES].capabilities.keys.withdraw(kid, body.reason)
    if withdrawn is None:
        raise not_found("key")
    _log.warning("signing_key_withdrawn", kid=withdrawn.kid, reason=body.reason, decision_id=decision.id)
    return reply(withdrawn)


ROUTES = (
    Route(
        "GET",
        "/v1/keys",
        list_keys,
        "Where the signing keys stand",
        replies={200: KeyStandings},
        problems=(401, 403, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/keys",
        rotate_keys,
        "Publish the next signing key",
        replies={202: KeyStanding},
        problems=(401, 403, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/keys/{id}/withdraw",
        withdraw_key,
        "Withdraw a signing key at once",
        body=KeyWithdrawal,
        replies={200: KeyStanding},
        problems=(400, 401, 403, 404, 408, 413, 415, 429, 503),
        proof=True,
        people=True,
    ),
)
