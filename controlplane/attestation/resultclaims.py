"""The claims of a signed result (draft-ietf-rats-ear-04, AR4SI), strictly: what each may be, and that they agree."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from controlplane.contracts.attestation import EvidenceType, Nonce, TrustTier, TrustVector
from controlplane.contracts.base import Digest, Identifier, Label, Name, ResourceName, StrictModel, Thumbprint
from controlplane.contracts.identity import AttestationLevel

PROFILE: Literal["tag:ietf.org,2026:rats/ear#04"] = "tag:ietf.org,2026:rats/ear#04"

_WORST_LAST: tuple[TrustTier, ...] = ("affirming", "none", "warning", "contraindicated")

Tier = Literal[0, 2, 32, 96]
"""The tiers' least values: nothing said, affirming, warning, contraindicated (AR4SI section 2.3.2)."""

VALUES: dict[TrustTier, Tier] = {"none": 0, "affirming": 2, "warning": 32, "contraindicated": 96}
_TIERS: dict[int, TrustTier] = {value: tier for tier, value in VALUES.items()}

Part = Literal[
    "instance-identity",
    "configuration",
    "executables",
    "file-system",
    "hardware",
    "runtime-opaque",
    "storage-opaque",
    "sourced-data",
]
PARTS: tuple[Part, ...] = get_args(Part)
"""Of a platform (AR4SI section 2.3.4)."""

Seconds = Annotated[int, Field(ge=0, le=253_402_300_799)]


def _whole(value: object) -> object:
    """A tier is an integer; to Python, false and 0.0 equal 0."""
    if type(value) is not int:
        raise ValueError("a tier is a whole number")
    return value


StrictTier = Annotated[Tier, BeforeValidator(_whole)]
"""A tier as it is read: of numbers in JSON that equal one, the integer alone."""


class Verifier(StrictModel):
    """Who appraised (AR4SI section 3.3)."""

    developer: Name
    build: Name


class Confirmation(StrictModel):
    """The key whose holder showed the evidence (RFC 7800), by its thumbprint as RFC 9449 section 6.1 has it."""

    jkt: Thumbprint


class Appraisal(StrictModel):
    """What was thought of one platform.

    Attributes:
        ear_status: the worst of the vector.
        ear_trustworthiness_vector: part by part; absent where nothing was said of any.
        ear_appraisal_policy_ids: the revision of the policy that appraised.
        ztfm_level: proven.
        ztfm_reference: the reference values that the evidence agrees with.
    """

    ear_status: TrustTier
    ear_trustworthiness_vector: Annotated[dict[Part, StrictTier], Field(min_length=1)] | None = None
    ear_appraisal_policy_ids: Annotated[list[ResourceName], Field(min_length=1, max_length=1)]
    ztfm_level: AttestationLevel
    ztfm_reference: Label

    @model_validator(mode="after")
    def _no_better_than_its_parts(self) -> Self:
        if self.ear_status != status_of(self.vector):
            raise ValueError("the status is not that of the worst part")
        return self

    @property
    def vector(self) -> TrustVector:
        """The same, in our words."""
        parts = self.ear_trustworthiness_vector or {}
        return TrustVector(**{part.replace("-", "_"): _TIERS[value] for part, value in parts.items()})


class ResultClaims(StrictModel):
    """The claims of a result.

    Attributes:
        eat_profile: of what this is.
        iss: the control plane's public URL.
        sub: the subject that showed the evidence.
        jti: the decision that appraised it.
        iat: Unix seconds.
        exp: Unix seconds; no decision relies on it longer.
        eat_nonce: of the challenge that the evidence answered.
        cnf: the subject's key.
        ear_verifier_id: who appraised.
        submods: the appraisal, by the kind of evidence; one.
        ztfm_release_key: digest of the key to which secrets may be sealed, where the evidence binds one.
    """

    eat_profile: Literal["tag:ietf.org,2026:rats/ear#04"]
    iss: ResourceName
    sub: Identifier
    jti: Identifier
    iat: Seconds
    exp: Seconds
    eat_nonce: Nonce
    cnf: Confirmation
    ear_verifier_id: Verifier
    submods: Annotated[dict[EvidenceType, Appraisal], Field(min_length=1, max_length=1)]
    ztfm_release_key: Digest | None = None

    @property
    def kind(self) -> str:
        """The kind of evidence."""
        return next(iter(self.submods))

    @property
    def appraisal(self) -> Appraisal:
        """What was thought of it."""
        return next(iter(self.submods.values()))


def status_of(vector: TrustVector) -> TrustTier:
    """Return the tier of a whole platform: that of its worst part, and ``none`` where nothing was said of any."""
    said = [tier for _, tier in vector if tier is not None]
    return max(said, key=_WORST_LAST.index, default="none")


def numbered(vector: TrustVector) -> dict[Part, Tier]:
    """Return a vector with the names and numbers that it has in a result."""
    said = {name.replace("_", "-"): VALUES[tier] for name, tier in vector if tier is not None}
    return {part: said[part] for part in PARTS if part in said}
