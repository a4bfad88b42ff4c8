"""``/oauth/token``: who proves its key gets a capability, or an access token for this API (RFC 6749, 7523, 8693)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.authentication import Authenticated, as_known_now, identify
from controlplane.api.forms import MEDIA_TYPE, read_form
from controlplane.api.granting import grant, is_own_audience, scheme_of_token
from controlplane.api.oauth_errors import OAuthError
from controlplane.api.proving import TOKEN_PATH, base_url_of
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.assertions import examine_assertion, refuse
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.base import is_identifier
from controlplane.contracts.capability import CapabilityContext, CapabilityRequest
from controlplane.contracts.oauth import (
    ACCESS_TOKEN_TYPE,
    API_SCOPE,
    CLIENT_CREDENTIALS,
    JWT_BEARER_ASSERTION,
    JWT_TYPE,
    TOKEN_EXCHANGE,
    ErrorCode,
    OAuthProblem,
    RequestedDetail,
    TokenRequest,
    TokenResponse,
)
from controlplane.jose.jws import parse_object


async def issue_token(request: web.Request) -> web.Response:
    """Hand out a token to whoever proves an enrolled key twice: by the request's proof and by an assertion."""
    caller = await identify(request)
    form = await read_form(request, TokenRequest)
    if form.client_secret is not None:
        raise OAuthError("invalid_client", "There are no client secrets here.", 401, cause="client_secret")
    answer = _GRANTS.get(form.grant_type)
    if answer is None:
        raise OAuthError("unsupported_grant_type", f"Known are {', '.join(_GRANTS)}.", cause="grant_type")
    response = reply(await answer(request, caller, form))
    response.headers["Pragma"] = "no-cache"
    return response


async def _exchange(request: web.Request, caller: Authenticated, form: TokenRequest) -> TokenResponse:
    """Return a capability for the device credential (RFC 8693), as ``POST /v1/capabilities`` would."""
    services = request.app[SERVICES]
    _refuse_others(form)
    if form.subject_token is None or form.subject_token_type is None:
        raise OAuthError(
            "invalid_request", "An exchange needs subject_token and subject_token_type.", cause="no_subject"
        )
    if form.subject_token_type != JWT_TYPE:
        raise OAuthError("invalid_request", f"A subject token is of type {JWT_TYPE}.", cause="subject_token_type")
    if form.requested_token_type not in (None, ACCESS_TOKEN_TYPE):
        raise OAuthError("invalid_request", f"Only {ACCESS_TOKEN_TYPE} is issued.", cause="requested_token_type")
    if form.scope is not None:
        raise OAuthError("invalid_scope", "A capability has no scope; say it in authorization_details.", cause="scope")
    if form.client_assertion is not None or form.client_assertion_type is not None:
        await _authenticate_client(request, caller, form)
    _same_client(caller, form)
    asked = _asked(services, form)
    await _use(request, caller, form.subject_token, "invalid_request")
    granted = await grant(request, caller, asked)
    services.metrics.capabilities.oauth_tokens.labels("token_exchange").inc()
    return TokenResponse(
        access_token=granted.token,
        issued_token_type=ACCESS_TOKEN_TYPE,
        token_type=scheme_of_token(granted.claims.cnf),
        expires_in=int(granted.claims.exp - granted.claims.iat),
        authorization_details=granted.claims.authorization_details,
        decision_id=granted.decision.id,
        policy_revision=granted.decision.policy_revision,
    )


async def _credentials(request: web.Request, caller: Authenticated, form: TokenRequest) -> TokenResponse:
    """Return an access token for this API (RFC 6749 section 4.4, RFC 7523 section 2.2)."""
    services = request.app[SERVICES]
    _refuse_others(form)
    if form.scope not in (None, API_SCOPE):
        raise OAuthError("invalid_scope", f"The only scope is {API_SCOPE}.", cause="scope")
    if form.audience is not None and not is_own_audience(services, form.audience):
        raise OAuthError("invalid_target", "Such a token is for this API; exchange for a capability.", cause="audience")
    if form.authorization_details is not None:
        detail = "Such a token allows nothing by itself; exchange for a capability."
        raise OAuthError("invalid_authorization_details", detail, cause="authorization_details")
    if caller.confirmation.jkt is None:
        detail = "A token for this API is bound to a key: send a proof. Over a client certificate none is needed."
        raise OAuthError("invalid_dpop_proof", detail, cause="proof_missing")
    await _authenticate_client(request, caller, form)
    if (await as_known_now(request, caller.device)).status == "revoked":
        raise OAuthError("unauthorized_client", "The subject was revoked.", cause="subject_revoked")
    token, claims = services.capabilities.access_tokens.mint(caller.device.id, caller.confirmation)
    services.metrics.capabilities.oauth_tokens.labels("client_credentials").inc()
    return TokenResponse(
        access_token=token,
        token_type=scheme_of_token(claims.cnf),
        expires_in=claims.exp - claims.iat,
        scope=claims.scope,
    )


async def _authenticate_client(request: web.Request, caller: Authenticated, form: TokenRequest) -> None:
    if form.client_assertion is None or form.client_assertion_type != JWT_BEARER_ASSERTION:
        detail = f"A client shows a client_assertion of type {JWT_BEARER_ASSERTION}."
        raise OAuthError("invalid_client", detail, 401, cause="client_assertion_type")
    _same_client(caller, form)
    await _use(request, caller, form.client_assertion, "invalid_client")


def _same_client(caller: Authenticated, form: TokenRequest) -> None:
    if form.client_id not in (None, caller.device.id):
        raise OAuthError("invalid_client", "client_id is another subject's.", 401, cause="client_id")


async def _use(request: web.Request, caller: Authenticated, token: str, code: ErrorCode) -> None:
    """Use up an assertion by the caller's enrolled key; across replicas it serves once."""
    services, device = request.app[SERVICES], caller.device
    audiences = {services.public_url, services.public_url + TOKEN_PATH, base_url_of(request) + TOKEN_PATH}
    found = examine_assertion(token, key=device.key, subject=device.id, audiences=audiences, now=services.clock())
    if not isinstance(found, Refused):
        uses = await services.capabilities.ledger.consume({found.use_id: found.expires_at})
        if uses[found.use_id]:
            found = refuse("assertion_replayed")
    if isinstance(found, Refused):
        services.metrics.capabilities.refused(found.cause)
        status = 401 if code == "invalid_client" else 400
        raise OAuthError(code, "The assertion does not hold; make a new one.", status, cause=found.cause)


def _refuse_others(form: TokenRequest) -> None:
    if form.actor_token is not None or form.actor_token_type is not None:
        raise OAuthError("invalid_request", "Nobody acts for another here.", cause="actor_token")
    if form.resource is not None:
        raise OAuthError("invalid_target", "Name the enforcement point as the audience.", cause="resource")


def _asked(services: Services, form: TokenRequest) -> CapabilityRequest:
    if form.audience is None:
        raise OAuthError("invalid_request", "Name the enforcement point as the audience.", cause="no_audience")
    if not is_identifier(form.audience) or is_own_audience(services, form.audience):
        raise OAuthError("invalid_target", "The audience is an enforcement point's identifier.", cause="audience")
    if form.authorization_details is None:
        raise OAuthError("invalid_request", "Say in authorization_details what for.", cause="no_authorization_details")
    detail = read_detail(form.authorization_details)
    properties = ResourceProperties(digest=detail.digest) if detail.digest is not None else None
    return CapabilityRequest(
        action=detail.action,
        resource=Resource(type=detail.resource_type, id=detail.resource_id, properties=properties),
        audience=form.audience,
        context=CapabilityContext(purpose=detail.purpose, round_id=detail.round_id, inference=detail.inference),
    )


def read_detail(text: str) -> RequestedDetail:
    """Return the one thing that a capability is asked for (RFC 9396 section 5).

    Raises:
        OAuthError: ``invalid_authorization_details`` for what is no list of exactly one, of another type, or does not
            fit.
    """
    try:
        # Wrapped, so that one parser reads all JSON that comes in: it refuses repeated names and NaN.
        listed = parse_object(b'{"list":' + text.encode() + b"}")
        [found] = listed["list"] if listed.keys() == {"list"} and isinstance(listed["list"], list) else []
        return RequestedDetail.model_validate_json(json.dumps(found))
    except ValidationError as error:
        named = sorted(
            {str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False) if item["loc"]}
        )
        wrong = f"Does not fit: {', '.join(named)[:200]}." if named else "Its one element is no object."
    except (ValueError, RecursionError):
        wrong = "It is a JSON list of exactly one element."
    raise OAuthError("invalid_authorization_details", wrong, cause="authorization_details")


_GRANTS: Mapping[str, Callable[[web.Request, Authenticated, TokenRequest], Awaitable[TokenResponse]]] = (
    MappingProxyType({TOKEN_EXCHANGE: _exchange, CLIENT_CREDENTIALS: _credentials})
)

ROUTES = (
    Route(
        "POST",
        TOKEN_PATH,
        issue_token,
        "Exchange the device credential for a capability (RFC 8693), or get an access token for this API (RFC 6749)",
        body=TokenRequest,
        body_type=MEDIA_TYPE,
        replies={200: TokenResponse},
        problems=(400, 401, 408, 413, 429, 503),
        error=OAuthProblem,
        proof=True,
    ),
)
