"""A newcomer asks to be known, and shows one kind of evidence."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import Network
from controlplane.contracts.base import Count, Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.facts.subjects import Age, AttestationFact
from controlplane.contracts.identity import Roles

MAX_CLAIMS = 32
MAX_CLAIM_CHARS = 256

ClaimName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Claim = (
    bool
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | Annotated[float, Field(ge=-1e12, le=1e12)]
    | Annotated[str, StringConstraints(max_length=MAX_CLAIM_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")]
)
"""What an issuer says of a device under one name: a truth, a number or a short text."""

Told = Annotated[str, StringConstraints(max_length=MAX_CLAIM_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A name that others gave: an issuer, a kind of credential, a certificate's subject."""

CredentialStatus = Literal["unstated", "unknown"]
"""Whether the credential says where its revocation is to be looked up. Lists of others are not read yet."""


CredentialCause = Literal[
    "malformed",
    "wrong_type",
    "issuer_unnamed",
    "issuer_unaccepted",
    "issuer_unresolved",
    "bad_signature",
    "bad_disclosure",
    "vct_missing",
    "times_malformed",
    "expired",
    "not_yet_valid",
    "not_bound",
    "wrong_key",
    "binding_missing",
    "binding_malformed",
    "binding_wrong_audience",
    "binding_stale",
    "binding_other_credential",
    "binding_bad_signature",
    "binding_replayed",
]
"""Every way in which a presented credential does not hold."""

CertificateCause = Literal[
    "malformed", "too_long", "untrusted", "unordered", "wrong_key", "subject_unreadable", "expired", "not_yet_valid"
]
"""Every way in which a chain does not hold."""


class Applicant(StrictModel):
    """What a newcomer asks to be."""

    roles: Roles
    segment: Label


class ApplicantSubject(StrictModel):
    """A newcomer, named after its key."""

    type: Literal["device"]
    id: Identifier
    properties: Applicant


class EnrolAction(StrictModel):
    """The action of an enrolment."""

    name: Literal["enrol"]


class FederationResource(StrictModel):
    """What is joined."""

    type: Literal["federation"]
    id: Identifier


class TokenFact(StrictModel):
    """What the presented enrolment token allows; not valid when nobody issued it."""

    valid: bool
    uses: Count
    expires_at: Timestamp
    roles: Annotated[list[Label], Field(max_length=8)]
    segment: Label | Literal[""]


class CredentialFact(StrictModel):
    """What the presented credential says (SD-JWT VC). Nothing is in it that its issuer did not sign.

    Attributes:
        valid: signature, disclosures, times and key binding all hold.
        cause: why not.
        issuer: DID that signed it; empty when nobody did whose keys are known.
        vct: the kind of credential.
        claims: what it says, less what is neither a truth nor a number nor a short text.
        key_bound: it names the newcomer's key, and that key presented it, here and now.
        status: whether it says where its revocation is to be looked up.
        age_seconds: since it was issued; absent when it does not say.
        expires_at: Unix seconds; absent when it does not say.
    """

    valid: bool
    cause: CredentialCause | Literal[""]
    issuer: Told
    vct: Told
    claims: Annotated[dict[ClaimName, Claim], Field(max_length=MAX_CLAIMS)]
    key_bound: bool
    status: CredentialStatus
    age_seconds: Age | None = None
    expires_at: Timestamp | None = None


class CertificateFact(StrictModel):
    """What the presented chain of certificates says (RFC 5280, IEEE 802.1AR).

    Attributes:
        valid: it leads to a root of a manufacturer, and is for a device now.
        cause: why not.
        manufacturer: whose root; empty when it leads to none.
        subject: of the device's certificate (RFC 4514).
        serial: of the device's certificate, in hexadecimal.
        device: the serial number of the device in the subject; empty when there is none.
        key_bound: it certifies the newcomer's key.
        expires_at: when the device's certificate ends, Unix seconds.
    """

    valid: bool
    cause: CertificateCause | Literal[""]
    manufacturer: Label | Literal[""]
    subject: Told
    serial: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,40}$")]
    device: Annotated[str, StringConstraints(max_length=64, pattern=r"^[\x20-\x7e]*$")]
    key_bound: bool
    expires_at: Timestamp


class ProofFact(StrictModel):
    """Whether the newcomer proved that it holds its key."""

    verified: bool


class EnrolmentContext(StrictModel):
    """Circumstances of an enrolment, with the one kind of evidence that was shown.

    Attributes:
        attestation: what is known of the platform.
    """

    time: Timestamp
    network: Network
    token: TokenFact | None = None
    credential: CredentialFact | None = None
    certificate: CertificateFact | None = None
    attestation: AttestationFact | None = None
    proof: ProofFact


class EnrolmentFacts(StrictModel):
    """Input of ``data.ztfm.enrolment``."""

    subject: ApplicantSubject
    action: EnrolAction
    resource: FederationResource
    context: EnrolmentContext


class IssuerQuery(StrictModel):
    """Input of ``data.ztfm.issuers``: whether anything that an issuer says is of interest.

    Asked before its keys are looked up, so that a stranger cannot have the control plane call whom it likes.
    """

    issuer: Told


class IssuerTerms(StrictModel):
    """Its answer."""

    accepted: bool
