"""Devices and services: how they enrol, and what the control plane knows of them."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Count, Identifier, Label, Share, StrictModel, Thumbprint, Timestamp, Token

AttestationLevel = Literal["none", "software", "hardware"]
"""How far a platform's state is proven, weakest first."""

DeviceStatus = Literal["active", "quarantined", "revoked"]

Roles = Annotated[list[Label], Field(min_length=1, max_length=8)]

Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class PublicKey(StrictModel):
    """A P-256 public key as a JWK (RFC 7517, RFC 7518 section 6.2). A private member is refused."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate


class EnrolmentRequest(StrictModel):
    """A device asks to be known. Its key is the one that signed the request's DPoP proof.

    Attributes:
        token: the single-use enrolment token that its owner was given.
        roles: what it will do.
        segment: where it lives.
    """

    token: Token
    roles: Roles
    segment: Label


class Enrolled(StrictModel):
    """The answer to an enrolment.

    Attributes:
        id: the registered identifier.
        key_thumbprint: of the key that every later request must prove (RFC 7638).
        issuer: whose capabilities to expect.
    """

    id: Identifier
    key_thumbprint: Thumbprint
    roles: Roles
    segment: Label
    issuer: str


class Trust(StrictModel):
    """How far a subject's behaviour has earned confidence.

    Attributes:
        score: in [0, 1].
        observations: how many updates stand behind it.
    """

    score: Share
    observations: Count


class Attestation(StrictModel):
    """What is proven of a platform.

    Attributes:
        level: the strongest level for which evidence was appraised.
        verified_at: Unix seconds of that appraisal; none when the level is none.
    """

    level: AttestationLevel = "none"
    verified_at: Timestamp | None = None

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if (self.level == "none") != (self.verified_at is None):
            raise ValueError("an attested level needs the time of its appraisal, and no level has none")
        return self


class Device(StrictModel):
    """A registered subject with everything that decisions read about it."""

    id: Identifier
    key: PublicKey
    key_thumbprint: Thumbprint
    roles: Roles
    segment: Label
    status: DeviceStatus
    attestation: Attestation
    trust: Trust
    enrolled_at: Timestamp


class EnrolmentGrant(StrictModel):
    """What an enrolment token allows, without the token itself.

    Attributes:
        uses: how often it was used; a token works once.
    """

    roles: Roles
    segment: Label
    expires_at: Timestamp
    uses: Count
