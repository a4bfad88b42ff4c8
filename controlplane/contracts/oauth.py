"""The OAuth face of the control plane, by its RFCs: 6749, 7009, 7523, 7662, 8414, 8693, 9068, 9396, 9449, 9728.

What a client sends is read by name from a form, so that these models pass over parameters that they do not know (RFC
6749 section 3.2); what we say is strict.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import AccessReason, ActionName, InferenceSize, Purpose
from controlplane.contracts.base import Digest, Identifier, Label, LenientModel, StrictModel, Token
from controlplane.contracts.capability import (
    MAX_LIFETIME_SECONDS,
    AuthorizationDetail,
    Confirmation,
)

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the grant's name
CLIENT_CREDENTIALS = "client_credentials"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the type's name
JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

API_SCOPE: Literal["ztfm:api"] = "ztfm:api"
"""The scope of an access token for the control plane's own API. A capability has none: neither passes as the other."""

ACCESS_TOKEN_SECONDS = 300
"""As long as an access token lives; another one costs one request."""

ASSERTION_SECONDS = 60
"""As far ahead as a client's assertion may expire."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x7e]+$", max_length=512)]
WholeSeconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
"""Unix time in whole seconds, as RFC 7662 has it."""

Described = Annotated[str, StringConstraints(pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]*$", max_length=512)]
"""What an ``error_description`` may hold (RFC 6749 section 5.2)."""

_Parameter = Annotated[str, StringConstraints(max_length=8192)]
_Secret = Annotated[_Parameter | None, Field(repr=False)]

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "insufficient_scope",
    "invalid_token",
    "invalid_target",
    "invalid_authorization_details",
    "invalid_dpop_proof",
    "use_dpop_nonce",
]
"""The error codes that are answered, each of IANA's registry of OAuth extensions errors."""


class OAuthForm(LenientModel):
    """A form; parameters that it does not know are passed over."""


class TokenRequest(OAuthForm):
    """A request at the token endpoint (RFC 6749 section 4.4, RFC 8693 section 2.1, RFC 7523 section 2.2).

    Attributes:
        grant_type: token exchange (device credential to capability) or client credentials (access token for this API).
        subject_token: what is exchanged: a JWT that the enrolled key signed.
        audience: the enforcement point at which the capability will be used.
        authorization_details: JSON, a list of one `RequestedDetail` (RFC 9396).
        client_assertion: a JWT that the enrolled key signed.
        client_id: the enrolled subject; whoever the assertion names when left out.
        resource: no target is named by a resource here; any is refused.
        actor_token: nobody acts for another here; any is refused.
    """

    grant_type: _Parameter
    subject_token: _Secret = None
    subject_token_type: _Parameter | None = None
    requested_token_type: _Parameter | None = None
    audience: _Parameter | None = None
    authorization_details: _Parameter | None = None
    client_assertion: _Secret = None
    client_assertion_type: _Parameter | None = None
    client_id: _Parameter | None = None
    client_secret: _Secret = None
    scope: _Parameter | None = None
    resource: _Parameter | None = None
    actor_token: _Secret = None
    actor_token_type: _Parameter | None = None


class TokenParameter(OAuthForm):
    """The form of introspection and revocation (RFC 7662 section 2.1, RFC 7009 section 2.1).

    Attributes:
        token: the token that it is about.
        token_type_hint: not needed here: the token says what it is.
    """

    token: Annotated[_Parameter, Field(repr=False)]
    token_type_hint: _Parameter | None = None


class RequestedDetail(StrictModel):
    """What a capability is asked for, in the form of RFC 9396; the same as `CapabilityRequest` says, flat.

    Attributes:
        digest: content digest of the model that is asked for.
        purpose: why a model is pulled.
        round_id: the round that it is for.
        inference: the size of the inference.
    """

    type: Literal["ztfm"]
    action: ActionName
    resource_type: Label
    resource_id: Identifier
    digest: Digest | None = None
    purpose: Purpose | None = None
    round_id: Identifier | None = None
    inference: InferenceSize | None = None


class TokenResponse(StrictModel):
    """A token as the token endpoint hands it out (RFC 6749 section 5.1, RFC 8693 section 2.2.1).

    Attributes:
        issued_token_type: of an exchange alone.
        token_type: ``DPoP``, or ``Bearer`` for a token that is bound to a certificate (RFC 8705).
        expires_in: whole seconds, rounded down.
        scope: of an access token for this API.
        authorization_details: what a capability allows, as granted (RFC 9396 section 7).
        decision_id: the recorded decision behind a capability.
        policy_revision: of the policy that decided.
    """

    access_token: Annotated[Token, Field(repr=False)]
    token_type: Literal["DPoP", "Bearer"]
    expires_in: Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS)]
    issued_token_type: str | None = None
    scope: str | None = None
    authorization_details: list[AuthorizationDetail] | None = None
    decision_id: Identifier | None = None
    policy_revision: str | None = None


class AccessTokenClaims(StrictModel):
    """The claims of an access token for the control plane's own API (RFC 9068 section 2.2).

    It has a scope and no authorization details, and its audience is its issuer; a capability is the other way round.
    """

    iss: Annotated[str, Field(min_length=1, max_length=256)]
    sub: Identifier
    aud: Annotated[str, Field(min_length=1, max_length=256)]
    exp: WholeSeconds
    iat: WholeSeconds
    jti: Annotated[str, StringConstraints(pattern=r"^api-[0-9a-f]{32}$")]
    client_id: Identifier
    cnf: Confirmation
    scope: Literal["ztfm:api"]


class Introspection(StrictModel):
    """What is to be known of a token (RFC 7662 section 2.2); of one that is not active, nothing else.

    Attributes:
        active: it holds now: its signature, its time, its subject's standing, its not being revoked, and, for a
            capability, what policy says when it is asked the same again.
        decision_id: the decision behind this answer.
        policy_revision: of the policy that decided it.
    """

    active: bool
    token_type: Literal["DPoP", "Bearer"] | None = None
    scope: str | None = None
    client_id: Identifier | None = None
    iss: str | None = None
    sub: Identifier | None = None
    aud: str | None = None
    exp: WholeSeconds | None = None
    iat: WholeSeconds | None = None
    jti: str | None = None
    cnf: Confirmation | None = None
    authorization_details: list[AuthorizationDetail] | None = None
    decision_id: Identifier | None = None
    policy_revision: str | None = None


class OAuthProblem(StrictModel):
    """An error at ``/oauth/*`` (RFC 6749 section 5.2).

    Attributes:
        error: what went wrong; clients switch on it.
        error_description: for people.
        reasons: what policy missed.
        decision_id: the recorded decision, where there is one.
    """

    error: ErrorCode
    error_description: Described = ""
    reasons: list[AccessReason] | None = None
    decision_id: str | None = None


class AuthorizationServerMetadata(StrictModel):
    """What this authorization server is and can do (RFC 8414 section 2, RFC 8705 section 5, RFC 9396, RFC 9449).

    Attributes:
        response_types_supported: none: there is no authorization endpoint.
        token_endpoint_auth_methods_supported: an assertion, or for an exchange the proof alone.
        tls_client_certificate_bound_access_tokens: a capability that is asked for over a client certificate is bound to
            it.
        mtls_endpoint_aliases: where the endpoints are over TLS, where this process serves it.
    """

    issuer: Url
    token_endpoint: Url
    jwks_uri: Url
    scopes_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    service_documentation: Url | None = None
    introspection_endpoint: Url
    introspection_endpoint_auth_methods_supported: list[str]
    revocation_endpoint: Url
    revocation_endpoint_auth_methods_supported: list[str]
    authorization_details_types_supported: list[str]
    dpop_signing_alg_values_supported: list[str]
    protected_resources: list[Url]
    tls_client_certificate_bound_access_tokens: bool
    mtls_endpoint_aliases: dict[str, Url] | None = None


class ProtectedResourceMetadata(StrictModel):
    """How the control plane's own API is accessed (RFC 9728 section 2).

    Attributes:
        bearer_methods_supported: where a token may be put.
        dpop_bound_access_tokens_required: a token without a proof of its key opens nothing.
    """

    resource: Url
    authorization_servers: list[Url]
    jwks_uri: Url
    scopes_supported: list[str]
    bearer_methods_supported: list[str]
    resource_name: str
    dpop_signing_alg_values_supported: list[str]
    dpop_bound_access_tokens_required: bool


_UNSPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def describable(text: str) -> str:
    """Return ``text`` as an ``error_description`` may hold it."""
    return _UNSPEAKABLE.sub("'", text)[:512]
