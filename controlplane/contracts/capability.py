"""Capabilities: short-lived JWT access tokens for one subject, one action, one resource, one audience (RFC 9068)."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from controlplane.contracts.access import ActionName, InferenceSize, Purpose, Resource
from controlplane.contracts.attestation import MAX_SHARDS
from controlplane.contracts.base import Count, Digest, Identifier, Label, StrictModel, Thumbprint, Timestamp, Token
from controlplane.contracts.confidentiality import Confidentiality
from controlplane.contracts.privacy import PrivacyTerms

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
    """The closed registry of limits that a capability carries. A verifier that does not know one refuses the token.

    Append only: a limit is never renamed, retyped or taken out, for tokens and verifiers of all versions meet.

    Attributes:
        round_id: only for this round.
        model_digest: only for these weights.
        purpose: only for this purpose.
        max_output_tokens: no more than this many output tokens.
        detail: how much of an answer may be shown.
        one_time: may be used once.
        segment: only in this segment.
        max_bytes: what is pulled or submitted is no larger than this.
        max_norm: the L2 norm of what is submitted is no larger than this.
        epsilon: what is submitted spends no more than this of a privacy budget.
        privacy: what is submitted was clipped, and in the mode ``local`` noised, by these terms.
        shards: only these parts of the weights; none for all, as of a model that is not given out by shards.
        sealed_to: what is submitted comes sealed to the release key with this digest; none for in any way.
        confidentiality: how what is submitted is to be hidden from whoever aggregates; none for ``plain``.
        group: digest of the names of those whose updates what is submitted may be summed with; none for nobody's.
    """

    round_id: Identifier | None = None
    model_digest: Digest | None = None
    purpose: Purpose | None = None
    max_output_tokens: Count | None = None
    detail: Literal["full", "label_only"] | None = None
    one_time: bool = False
    segment: Label | None = None
    max_bytes: Annotated[int, Field(gt=0, le=2**53)] | None = None
    max_norm: Annotated[float, Field(gt=0.0, le=1e12)] | None = None
    epsilon: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    privacy: PrivacyTerms | None = None
    shards: Annotated[list[Label], Field(max_length=MAX_SHARDS)] | None = None
    sealed_to: Digest | None = None
    confidentiality: Confidentiality | None = None
    group: Digest | None = None


class AuthorizationDetail(StrictModel):
    """What is allowed, in the form of RFC 9396 (rich authorization requests)."""

    type: Literal["ztfm"]
    action: ActionName
    resource_type: Label
    resource_id: Identifier
    constraints: Constraints


class Confirmation(StrictModel):
    """What a token is bound to (RFC 7800): exactly one of a key and a certificate.

    Attributes:
        jkt: thumbprint of the key that must prove each use (RFC 9449 section 6).
        x5t: SHA-256 of the DER certificate that the TLS connection must be made with (RFC 8705 section 3.1);
            ``x5t#S256`` on the wire.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    jkt: Thumbprint | None = None
    x5t: Annotated[Thumbprint | None, Field(alias="x5t#S256")] = None

    @model_validator(mode="after")
    def _bound_once(self) -> Self:
        if (self.jkt is None) == (self.x5t is None):
            raise ValueError("a token is bound to a key or to a certificate, and to one of them")
        return self


class StatusListReference(StrictModel):
    """Where a token's bit stands (Token Status List, section 6.2).

    Attributes:
        idx: place of the bit.
        uri: of the list.
    """

    idx: Annotated[int, Field(ge=0, le=2**32)]
    uri: Annotated[str, Field(min_length=1, max_length=512)]


class Status(StrictModel):
    """Where to look whether a token was revoked."""

    status_list: StatusListReference


class CapabilityClaims(StrictModel):
    """The claims of a capability (RFC 9068 section 2.2, RFC 9396 section 9).

    Attributes:
        client_id: the enrolled subject, as ``sub``.
        authorization_details: exactly one, so that a token never grants two things.
        decision_id: the recorded decision behind it.
        policy_revision: of the policy that decided.
        status: where to look whether it was revoked.
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
    status: Status

    @property
    def detail(self) -> AuthorizationDetail:
        """The one thing that this capability allows."""
        return self.authorization_details[0]


class Capability(StrictModel):
    """A capability as it is handed out (RFC 6749 section 5.1); ``Bearer`` is one bound to a certificate."""

    access_token: Annotated[Token, Field(repr=False)]
    token_type: Literal["DPoP", "Bearer"] = "DPoP"  # noqa: S105 - the scheme's name
    expires_in: Annotated[float, Field(gt=0, le=MAX_LIFETIME_SECONDS)]
    decision_id: Identifier
    policy_revision: str
