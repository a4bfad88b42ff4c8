"""Devices and services: how they enrol, and what the control plane knows of them."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from controlplane.contracts.base import Count, Identifier, Label, Share, StrictModel, Thumbprint, Timestamp, Token
from controlplane.contracts.svids import SpiffeName
from controlplane.contracts.trusthistory import TrustHistory

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


EvidenceKind = Literal["token", "credential", "certificate"]
"""What a newcomer may show for itself: what its owner was given, what an issuer or a manufacturer says of it."""

MAX_CREDENTIAL_CHARS = 16_384
"""As long as a presented credential may be, with its disclosures and its key binding."""

MAX_CERTIFICATES = 5
"""Certificates of a chain, the root among them where it is sent."""

Presentation = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_CREDENTIAL_CHARS, pattern=r"^[A-Za-z0-9_.~-]+$")
]
"""An SD-JWT with disclosures and a key binding (RFC 9901 section 4, SD-JWT+KB). Never log one."""

CertificateText = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
"""An X.509 certificate in PEM, or its DER in base64."""

_SHOWN = ("token", "credential", "certificates")


def _only(name: str) -> dict[str, Any]:
    kind = "array" if name == "certificates" else "string"
    return {"required": [name], "properties": {name: {"type": kind}}}


class EnrolmentRequest(StrictModel):
    """A device asks to be known. Its key is the one that signed the request's DPoP proof.

    It shows exactly one of token, credential and certificates.

    Attributes:
        token: the single-use enrolment token that its owner was given.
        credential: an SD-JWT VC of an accepted issuer, presented with a key binding by the same key.
        certificates: of its manufacturer: the device's own, whose key is the same, then what leads to the root.
        roles: what it will do.
        segment: where it lives.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [_only(name) for name in _SHOWN]})

    token: Annotated[Token | None, Field(repr=False)] = None
    credential: Annotated[Presentation | None, Field(repr=False)] = None
    certificates: Annotated[list[CertificateText] | None, Field(min_length=1, max_length=MAX_CERTIFICATES)] = None
    roles: Roles
    segment: Label

    @model_validator(mode="after")
    def _shows_one_thing(self) -> Self:
        if sum(getattr(self, name) is not None for name in _SHOWN) != 1:
            raise ValueError("exactly one of token, credential and certificates is shown")
        return self


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
        expires_at: until when it counts, Unix seconds; none where that follows from its age alone.
    """

    level: AttestationLevel = "none"
    verified_at: Timestamp | None = None
    expires_at: Timestamp | None = None

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if (self.level == "none") != (self.verified_at is None):
            raise ValueError("an attested level needs the time of its appraisal, and no level has none")
        if self.level == "none" and self.expires_at is not None:
            raise ValueError("what is not proven does not expire")
        return self

    def holds_at(self, now: float) -> bool:
        """Whether it has not expired at ``now`` (Unix seconds)."""
        return self.expires_at is None or now < self.expires_at


class Device(StrictModel):
    """A registered subject with everything that decisions read about it.

    Attributes:
        trust_history: none where nobody has looked at its trust yet, as of one that was let back by a person.
    """

    id: Identifier
    key: PublicKey
    key_thumbprint: Thumbprint
    roles: Roles
    segment: Label
    status: DeviceStatus
    attestation: Attestation
    trust: Trust
    trust_history: TrustHistory | None = None
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
    """An enrolled subject asks for an X509-SVID: a certificate that bears its SPIFFE ID, for TLS on either side.

    Attributes:
        lifetime_seconds: up to a day; policy may have it shorter.
        csr: a PKCS #10 request in PEM that another P-256 key signed (RFC 2986): that key is certified then, and
            nothing else of the request counts. Without one it is the enrolled key, which says who asks here too.
    """

    lifetime_seconds: Annotated[float, Field(ge=300.0, le=86_400.0)] = 3_600.0
    csr: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None


class IssuedCertificate(StrictModel):
    """An X509-SVID: a certificate (RFC 5280) whose only URI is the workload's SPIFFE ID.

    Attributes:
        certificate: PEM.
        authority: PEM of every authority of the trust domain, oldest first, for those who verify.
        thumbprint: SHA-256 of the certificate's DER, as capabilities bear it (``x5t#S256``).
        spiffe_id: the workload's name.
        expires_at: Unix seconds.
    """

    certificate: str
    authority: str
    thumbprint: Thumbprint
    spiffe_id: SpiffeName
    expires_at: Timestamp
