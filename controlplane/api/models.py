"""``/v1/models``: versions of models that somebody signed, as they are registered, looked at and withdrawn."""

import asyncio
import re
from dataclasses import dataclass

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import ProblemError, not_found, problem
from controlplane.api.reading import MAX_BODY_BYTES, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.base import is_identifier
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Caller
from controlplane.contracts.models import (
    MAX_VERSIONS,
    ModelVersion,
    SignatureState,
    VersionDetail,
    VersionRequest,
    VersionsFound,
    VersionWithdrawal,
)
from controlplane.transparency.modelsignatures import Verified, stated_tensors, verify_bundle
from controlplane.transparency.modelsigners import SignatureRefused, Signers

BOOK = "models"
"""The name of all models together, where the path names none."""

DEFAULT_LIMIT = 50

_VERSION = re.compile(r"sha256:[0-9a-f]{64}")
_LIMIT = re.compile(r"[0-9]{1,3}")
_log = structlog.get_logger("ztfm.models")


@dataclass(frozen=True)
class _Examined:
    state: SignatureState
    verified: Verified | None = None
    tensors: str | None = None


async def register_version(request: web.Request) -> web.Response:
    """Register what somebody signed, where the signature holds and policy lets its signer sign the model.

    From then on its files may be pulled to be served, by the digests in its manifest. What is registered already stays
    as it is; what was withdrawn, too.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, VersionRequest, MAX_BODY_BYTES)
    # What is decided about is what is registered, also where the path names nothing that a model could be called.
    model, now = _named(request.match_info["model"]), services.clock()
    examined = await asyncio.to_thread(_examined, body, services.models.signers, now)
    decision = await _decided(request, caller, model, examined)
    verified = examined.verified
    if verified is None:
        # Whatever policy says: what nobody signed is no version.
        raise problem("conflict", 409, "The signature does not hold", f"Its cause is {examined.state}.")
    version = _registered(model, verified, examined.tensors, caller, decision, now)
    is_new = await services.models.versions.register(version, verified.manifest.files, body.bundle)
    services.metrics.models.versions.labels("registered" if is_new else "known").inc()
    if is_new:
        stated = version.model_dump(include={"model", "id", "signer", "files"})
        _log.info("model_registered", **stated, by=caller.id, decision_id=decision.id)
    return reply(await _found(services, model, version.id), 201 if is_new else 200)


async def list_versions(request: web.Request) -> web.Response:
    """Return the versions of a model, the latest first, those that were withdrawn among them."""
    caller = await authenticate_administrator(request)
    limit = _limit(request)
    model = request.match_info["model"]
    await administer(request, caller, "model:read", "model_version", _named(model))
    if not is_identifier(model):
        raise not_found("model")
    return reply(VersionsFound(versions=await request.app[SERVICES].models.versions.page(model, limit)))


async def show_version(request: web.Request) -> web.Response:
    """Return a version with the digests of its files and the signature itself, for whoever verifies it again."""
    caller = await authenticate_administrator(request)
    model, version = request.match_info["model"], request.match_info["version"]
    await administer(request, caller, "model:read", "model_version", _named(model))
    return reply(await _found(request.app[SERVICES], model, version))


async def withdraw_version(request: web.Request) -> web.Response:
    """Withdraw a version: no more capabilities to pull it are given from a second later on, and none can be again.

    One that was withdrawn before stays as it is.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, VersionWithdrawal)
    model, version = request.match_info["model"], request.match_info["version"]
    decision = await administer(request, caller, "model:withdraw", "model_version", _named(model))
    before = await _found(services, model, version)
    if await services.models.versions.withdraw(model, before.id, caller.id, body.reason, services.clock()):
        services.metrics.models.versions.labels("withdrawn").inc()
        _log.info("model_withdrawn", model=model, id=before.id, by=caller.id, decision_id=decision.id)
    return reply(await _found(services, model, version))


def _examined(body: VersionRequest, signers: Signers, now: float) -> _Examined:
    try:
        verified = verify_bundle(body.bundle, signers, now)
        tensors = stated_tensors(body.tensors, verified.manifest) if body.tensors is not None else None
    except SignatureRefused as refused:
        return _Examined(refused.cause)
    return _Examined("verified", verified, tensors)


async def _decided(request: web.Request, caller: Caller, model: str, examined: _Examined) -> Decision:
    verified, counted = examined.verified, request.app[SERVICES].metrics.models
    try:
        return await administer(
            request,
            caller,
            "model:register",
            "model_version",
            model,
            model=model,
            signature=examined.state,
            signer=verified.by.signer if verified else None,
            name=verified.manifest.called if verified else None,
        )
    except ProblemError as refusal:
        if refusal.problem.status == 403:
            counted.versions.labels("denied").inc()
            if verified is None:
                counted.refused.labels(examined.state).inc()
                _log.warning("model_signature_refused", model=model, cause=examined.state, by=caller.id)
        raise


def _registered(
    model: str, verified: Verified, tensors: str | None, caller: Caller, decision: Decision, now: float
) -> ModelVersion:
    manifest = verified.manifest
    return ModelVersion(
        model=model,
        id=verified.id,
        name=manifest.name,
        root=manifest.root,
        signer=verified.by.signer,
        signed_as=verified.by.signed_as,
        tensors=tensors,
        files=len(manifest.files),
        registered_at=now,
        registered_by=caller.id,
        decision_id=decision.id,
        state="registered",
    )


async def _found(services: Services, model: str, version: str) -> VersionDetail:
    found = await services.models.versions.get(model, version) if _VERSION.fullmatch(version) else None
    if found is None:
        raise not_found("version of this model")
    return found


def _named(model: str) -> str:
    return model if is_identifier(model) else BOOK


def _limit(request: web.Request) -> int:
    limit = request.query.get("limit", str(DEFAULT_LIMIT))
    is_known = len(request.query) <= 1 and set(request.query) <= {"limit"}
    if not is_known or not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_VERSIONS:
        detail = f"`limit` alone may be given, once: a number from 1 to {MAX_VERSIONS}."
        raise problem("invalid-request", 400, "The query does not fit", detail)
    return int(limit)


_PROBLEMS = (400, 401, 403, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/v1/models/{model}/versions",
        register_version,
        "Register a version of a model that somebody signed",
        body=VersionRequest,
        replies={200: VersionDetail, 201: VersionDetail},
        problems=(*_PROBLEMS, 408, 409, 413, 415),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/models/{model}/versions",
        list_versions,
        "List the versions of a model, the latest first",
        replies={200: VersionsFound},
        problems=(*_PROBLEMS, 404),
        proof=True,
        people=True,
        parameters=(
            Parameter(
                "limit",
                "query",
                "Versions at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_VERSIONS, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/models/{model}/versions/{version}",
        show_version,
        "Show a version with all that was signed",
        replies={200: VersionDetail},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/models/{model}/versions/{version}/withdraw",
        withdraw_version,
        "Withdraw a version: it is handed out no more",
        body=VersionWithdrawal,
        replies={200: VersionDetail},
        problems=(*_PROBLEMS, 404, 408, 413, 415),
        proof=True,
        people=True,
    ),
)
