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

    token: Annotated[Token, Field(repr=False)]
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


class Person(StrictModel):
    """Somebody whom an identity provider vouches for (OpenID Connect). They hold no key and get no capability.

    Attributes:
        id: follows from issuer and ``sub``, so that no name has to be trusted or spelt.
        issuer: the provider.
        claims: texts by claim, those that policy may give roles for.
        expires_at: of the token that said so, Unix seconds.
    """

    id: Identifier
    issuer: str
    claims: dict[str, list[str]]
    expires_at: Timestamp


Caller = Device | Person
"""Whoever asks for something: a device or service that proves its key, or a person whom a provider vouches for."""


class EnrolmentGrant(StrictModel):
    """What an enrolment token allows, without the token itself.

    Attributes:
        uses: how often it was used; a token works once.
    """

    roles: Roles
    segment: Label
    expires_at: Timestamp
    uses: Count


class TokensRequest(StrictModel):
    """An administrator asks for enrolment tokens; each lets one device or service enrol, once.

    Attributes:
        roles: what it may enrol as.
        segment: where.
        hours: until the tokens expire, 90 days at most.
        count: how many.
    """

    roles: Roles
    segment: Label
    hours: Annotated[float, Field(gt=0.0, le=2160.0)] = 1.0
    count: Annotated[int, Field(ge=1, le=1000)] = 1


class IssuedTokens(StrictModel):
    """Enrolment tokens, shown now and never again.

    Attributes:
        expires_at: Unix seconds.
    """

    tokens: Annotated[list[Token], Field(repr=False)]
    roles: Roles
    segment: Label
    expires_at: Timestamp


class StatusChange(StrictModel):
    """What is to become of a device, and why.

    Attributes:
        status: ``active`` releases it; ``revoked`` is final.
        reason: for the record and for enforcement points' operators; it holds nothing secret.
    """

    status: DeviceStatus
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x20-\x7e]+$")]


class CertificateRequest(StrictModel):
    """An enrolled subject asks for a client certificate for its own key.

    Attributes:
        lifetime_seconds: up to a day.
    """

    lifetime_seconds: Annotated[float, Field(ge=300.0, le=86_400.0)] = 86_400.0


class IssuedCertificate(StrictModel):
    """A client certificate (RFC 5280) for the enrolled key.

    Attributes:
        certificate: PEM.
        authority: PEM of the certificate that signed it, for enforcement points that verify clients.
        thumbprint: SHA-256 of its DER, as capabilities bear it (``x5t#S256``).
        expires_at: Unix seconds.
    """

    certificate: str
    authority: str
    thumbprint: Thumbprint
    expires_at: Timestamp
