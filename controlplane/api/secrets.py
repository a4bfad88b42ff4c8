"""``/v1/secrets``: keys of models and data, kept sealed, and released to attested platforms alone."""

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import Authenticated, as_known_now, identify
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem, refused, too_many, unavailable
from controlplane.api.reading import address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.errors import SealError
from controlplane.capabilities.refusals import Refused
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.releasing import from_text
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Caller
from controlplane.contracts.secrets import (
    MAX_SECRET_BYTES,
    MAX_SECRETS,
    MIN_SECRET_BYTES,
    RegisteredSecret,
    ReleasedSecret,
    ReleaseRequest,
    SecretRequest,
    SecretsFound,
)
from controlplane.decisions.key_release import Shown

ALL = "secrets"
"""The name of all secrets together, where policy decides about no single one."""

_log = structlog.get_logger("ztfm.secrets")


async def register_secret(request: web.Request) -> web.Response:
    """Keep a secret, or make one that nobody has seen; whom it is released to, policy says under its name."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, SecretRequest)
    decision = await administer(request, caller, "secret:register", "secret", body.id)
    found = await services.confidentiality.secrets.register(body.id, _value(body), caller.id)
    if found == "known":
        detail = "It stays what it is: withdraw it first, or choose another name."
        raise problem("conflict", 409, "A secret of this name is kept", detail)
    if found == "full":
        raise problem("conflict", 409, "There are too many secrets", f"At most {MAX_SECRETS} are kept. Withdraw some.")
    services.metrics.secrets.changes.labels("registered").inc()
    _log.info("secret_registered", name=found.id, by=caller.id, made_here=found.made_here, decision_id=decision.id)
    return reply(found, 201)


async def list_secrets(request: web.Request) -> web.Response:
    """Return which secrets are kept, by name; no secret is shown to anybody."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    await administer(request, caller, "secret:list", "secret", ALL)
    return reply(SecretsFound(secrets=list(await services.confidentiality.secrets.all())))


async def withdraw_secret(request: web.Request) -> web.Response:
    """Forget a secret for good: from now on nobody gets it here. Whoever has it already, has it."""
    services = request.app[SERVICES]
    caller: Caller = await authenticate_administrator(request)
    name = _named(request)
    decision = await administer(request, caller, "secret:withdraw", "secret", name)
    if not await services.confidentiality.secrets.withdraw(name):
        raise not_found("secret")
    services.metrics.secrets.changes.labels("withdrawn").inc()
    _log.info("secret_withdrawn", name=name, by=caller.id, decision_id=decision.id)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def release_secret(request: web.Request) -> web.Response:
    """Seal a secret to the release key that the caller's fresh evidence binds, if policy lets it have that."""
    services = request.app[SERVICES]
    caller = await identify(request)
    body = await read_body(request, ReleaseRequest)
    name = _named(request)
    wait = await services.limits.released.take(caller.device.id)
    if wait:
        services.metrics.secrets.releases.labels("limited").inc()
        raise too_many(wait)
    asked_at, device = services.clock(), await as_known_now(request, caller.device)
    shown = None if body.capability is None else _shown(services, caller, body.capability)
    try:
        found = await services.confidentiality.key_release.release(
            device, name, body.purpose, shown, address_of(request)
        )
    except SealError:
        services.metrics.secrets.releases.labels("error").inc()
        _log.error("secret_unopened", name=name, remedy="restore the store and the sealing key from one backup")
        raise unavailable("The secret does not open with this sealing key; nothing was released.") from None
    decision = found.decision
    if not decision.allowed:
        services.metrics.secrets.releases.labels("error" if decision.outcome == "error" else "denied").inc()
        raise refused(decision)
    if found.is_overtaken or _is_overtaken(services, caller, body.capability, shown, asked_at):
        services.metrics.secrets.releases.labels("error").inc()
        raise unavailable("What this was decided on changed meanwhile; ask again.")
    if found.answer is None:
        services.metrics.secrets.releases.labels("unsealable").inc()
        detail = "Policy names no evidence whose release key can be sealed to. Attest again with a fresh release key."
        raise problem("release-key-unusable", 409, "The secret cannot be sealed to this platform", detail)
    services.metrics.secrets.releases.labels("released").inc()
    _log.info("secret_released", name=name, device=device.id, decision_id=decision.id)
    return reply(found.answer)


def _is_overtaken(
    services: Services, caller: Authenticated, capability: str | None, shown: Shown | None, asked_at: float
) -> bool:
    """Whether the subject ended since it asked, or its capability holds no longer: nobody can call a secret back."""
    is_void = capability is not None and _shown(services, caller, capability) != shown
    return is_void or services.revocation.revoker.has_ended(caller.device.id, asked_at)


def _named(request: web.Request) -> str:
    name = request.match_info["id"]
    if not is_identifier(name):
        raise not_found("secret")
    return name


def _value(body: SecretRequest) -> bytes | None:
    if body.secret is None:
        return None
    try:
        value = from_text(body.secret)
    except SealRefused:
        value = b""
    if not MIN_SECRET_BYTES <= len(value) <= MAX_SECRET_BYTES:
        detail = f"It is {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64url, without padding."
        raise problem("secret-unusable", 422, "The secret cannot be kept", detail)
    return value


def _shown(services: Services, caller: Authenticated, token: str) -> Shown:
    """Return what holds of a capability: it is the caller's, for a pull, and bound to what the caller has proven."""
    claims = services.capabilities.verifier.recognise(token)
    if isinstance(claims, Refused):
        return Shown(None, claims.cause)
    if claims.sub != caller.device.id:
        return Shown(None, "wrong_subject")
    if claims.detail.action != "model_access":
        return Shown(None, "wrong_action")
    proven = {caller.device.key_thumbprint, caller.confirmation.x5t}
    if (claims.cnf.jkt or claims.cnf.x5t) not in proven:
        return Shown(None, "wrong_key")
    return Shown(claims, "")


_PROBLEMS = (401, 403, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/v1/secrets",
        register_secret,
        "Keep a secret that is released to attested platforms",
        body=SecretRequest,
        replies={201: RegisteredSecret},
        problems=(400, *_PROBLEMS, 408, 409, 413, 415, 422),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/secrets",
        list_secrets,
        "List the secrets that are kept; none is shown",
        replies={200: SecretsFound},
        problems=_PROBLEMS,
        proof=True,
        people=True,
    ),
    Route(
        "DELETE",
        "/v1/secrets/{id}",
        withdraw_secret,
        "Withdraw a secret for good",
        replies={204: None},
        problems=(*_PROBLEMS, 404),
        media_type="",
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/secrets/{id}/release",
        release_secret,
        "Have a secret sealed to the release key of this platform",
        body=ReleaseRequest,
        replies={200: ReleasedSecret},
        problems=(400, *_PROBLEMS, 404, 408, 409, 413, 415),
        proof=True,
    ),
)
