"""Capabilities: short-lived JWT access tokens for one subject, one action, one resource, one audience (RFC 9068)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from controlplane.contracts.access import ActionName, InferenceSize, Purpose, Resource
from controlplane.contracts.base import Count, Digest, Identifier, Label, StrictModel, Thumbprint, Timestamp, Token

MIN_LIFETIME_SECONDS = 5
MAX_LIFETIME_SECONDS = 300


class CapabilityContext(StrictModel):
    """What a device states when it asks for a capability.

    Attributes:
        purpose: why it pulls a model.
        round_id: the round it takes part in.
        inference: the size of the inference it asks for.
    """

    purpose: Purpose | None = None
    round_id: Identifier | None = None
    inference: InferenceSize | None = None


class CapabilityRequest(StrictModel):
    """A device asks for a capability; who it is comes from the DPoP proof of the request (RFC 9449).

    Attributes:
        audience: the enforcement point at which the capability will be used.
    """

    action: ActionName
    resource: Resource
    audience: Identifier
    context: CapabilityContext = CapabilityContext()


class Constraints(StrictModel):
    """The closed set of limits that a capability carries. A verifier that does not know one refuses the token.

    Attributes:
        round_id: only for this round.
        model_digest: only for these weights.
        purpose: only for this purpose.
        max_output_tokens: no more than this many output tokens.
        detail: how much of an answer may be shown.
        one_time: may be used once.
    """

    round_id: Identifier | None = None
    model_digest: Digest | None = None
    purpose: Purpose | None = None
    max_output_tokens: Count | None = None
    detail: Literal["full", "label_only"] | None = None
    one_time: bool = False


class AuthorizationDetail(StrictModel):
    """What is allowed, in the form of RFC 9396 (rich authorization requests)."""

    type: Literal["ztfm"]
    action: ActionName
    resource_type: Label
    resource_id: Identifier
    constraints: Constraints


class Confirmation(StrictModel):
    """The key to which a token is bound (RFC 7800, RFC 9449 section 6)."""

    jkt: Thumbprint


class CapabilityClaims(StrictModel):
    """The claims of a capability (RFC 9068 section 2.2, RFC 9396 section 9).

    Attributes:
        client_id: the enrolled subject, as ``sub``.
        authorization_details: exactly one, so that a token never grants two things.
        decision_id: the recorded decision behind it.
        policy_revision: of the policy that decided.
    """

    model_config = ConfigDict(extra="forbid")

    iss: Annotated[str, Field(min_length=1, max_length=256)]
    sub: Identifier
    aud: Identifier
    exp: Timestamp
    iat: Timestamp
    jti: Identifier
    client_id: Identifier
    cnf: Confirmation
    authorization_details: Annotated[list[AuthorizationDetail], Field(min_length=1, max_length=1)]
    decision_id: Identifier
    policy_revision: Annotated[str, Field(max_length=128)]

    @property
    def detail(self) -> AuthorizationDetail:
        """The one thing that this capability allows."""
        return self.authorization_details[0]


class Capability(StrictModel):
    """A capability as it is handed out (RFC 6749 section 5.1)."""

    access_token: Token
    token_type: Literal["DPoP"] = "DPoP"  # noqa: S105 - the scheme's name
    expires_in: Annotated[float, Field(gt=0, le=MAX_LIFETIME_SECONDS)]
    decision_id: Identifier
    policy_revision: str
