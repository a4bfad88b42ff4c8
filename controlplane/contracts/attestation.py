"""Remote attestation (RATS, RFC 9334): challenges, evidence, what a verifier finds in it, and what is made of that."""

from typing import Annotated, Literal

from pydantic import Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from controlplane.contracts.base import Count, Identifier, Label, Name, StrictModel, Timestamp
from controlplane.contracts.identity import AttestationLevel

MAX_MEMBERS = 16
MAX_MEMBER_CHARS = 262_144
MAX_CLAIMS = 64
MAX_SHARDS = 64

EvidenceType = Label
"""What made the evidence: ``tpm``, ``sgx``, ``tdx``, ``snp``, ``azure``, ``nitro``, ``nvidia``, ``eat``, or others."""

EvidenceCause = Literal[
    "malformed",
    "untrusted",
    "expired",
    "revoked",
    "signature",
    "unbound",
    "unsupported",
    "unchallenged",
    "fault",
    "other",
]
"""Every way in which evidence does not verify: those of `controlplane.attestation.interface.EvidenceRefused`;
``unchallenged`` where it was not looked at, for it answers no challenge; ``fault`` where the verifier failed; ``other``
for any that is not named here."""

Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){1,128}$")]
"""Bytes in lower-case hexadecimal: a digest, a measurement."""

Encoded = Annotated[str, StringConstraints(max_length=MAX_MEMBER_CHARS, pattern=r"^[A-Za-z0-9+/_-]*={0,2}$")]
"""Bytes in base64 or base64url."""


class _OtherNamesRefused:
    """Has a mapping's schema say what its parser does: of no name but those that fit may there be a member."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "additionalProperties": False}


Members = Annotated[dict[Label, Encoded], _OtherNamesRefused()]
"""Bytes by name."""

Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 random bytes in base64url."""

MAX_REFERENCES = 1024
"""Reference values that a decision names at most."""

SealingSuite = Literal["x25519", "mlkem768-x25519"]
"""How a secret is sealed to a key (HPKE, RFC 9180): DHKEM(X25519), or the hybrid with ML-KEM-768, both with HKDF-SHA256
and AES-256-GCM."""


class ReleaseKey(StrictModel):
    """A public key to which secrets may be sealed; its private half never leaves the platform that attests it.

    Attributes:
        suite: for which it is.
        key: the encapsulation key as its suite serialises it, base64url.
    """

    suite: SealingSuite
    key: Annotated[str, StringConstraints(min_length=43, max_length=1700, pattern=r"^[A-Za-z0-9_-]+$")]


class Claims(StrictModel):
    """What verified evidence says of a platform, in words that are the same for every kind of evidence.

    Attributes:
        kind: of evidence.
        anchor: the trusted root that vouches for it, by its name here; whether it counts as hardware is policy's.
        platform: names the hardware: a chip's id, an attestation key's name; the same platform says the same.
        bound: what it carries of its challenge: `controlplane.attestation.binding.binding`, or something else.
        debug: whether its owner can look into it.
        status: what its maker's collateral says of its firmware: ``up_to_date``, ``out_of_date``, ``revoked`` and so
            on; ``unstated`` where nothing of the kind was looked at.
        measurements: digests of what was loaded, by name, such as ``pcr0``, ``mrenclave``, ``measurement``.
        versions: security versions by name, such as ``tcb_microcode``, ``isvsvn``.
        attributes: what else policy may ask for, such as ``product``, ``driver``, ``secure_boot``.
        advisories: of the maker, that apply.
        made_at: Unix seconds, where the evidence says when it was made.
    """

    kind: EvidenceType
    anchor: Label
    platform: Hex
    bound: Hex
    debug: bool
    status: Label
    measurements: Annotated[dict[Label, Hex], Field(max_length=MAX_CLAIMS)]
    versions: Annotated[dict[Label, Count], Field(max_length=MAX_CLAIMS)]
    attributes: Annotated[dict[Label, Name], Field(max_length=MAX_CLAIMS)]
    advisories: Annotated[list[Name], Field(max_length=MAX_CLAIMS)]
    made_at: Timestamp | None = None


class ChallengeRequest(StrictModel):
    """An enrolled subject wants to prove what it runs on.

    Attributes:
        kind: of evidence that it will show.
        endorsement: for a TPM, what its challenge is made for, base64url by name: ``ek_certificate``, ``ek``, ``ak``.
    """

    kind: EvidenceType
    endorsement: Annotated[Members, Field(max_length=4)] | None = None


class Challenge(StrictModel):
    """What evidence must answer, once.

    Attributes:
        id: names it.
        nonce: part of what the evidence has to carry.
        expires_at: Unix seconds.
        credential: for a TPM, what only it can open (TPM 2.0 part 1, section 24): base64url by name.
    """

    id: Identifier
    nonce: Nonce
    expires_at: Timestamp
    credential: Annotated[Members, Field(max_length=4)] | None = None


class AttestationRequest(StrictModel):
    """Evidence that answers a challenge.

    Attributes:
        challenge: the one that it answers.
        kind: of evidence; that of the challenge.
        evidence: its members by name, as its kind has them (docs/attestation.md).
        release_key: to which secrets may be sealed while the result holds; the evidence binds it.
    """

    challenge: Identifier
    kind: EvidenceType
    evidence: Annotated[Members, Field(min_length=1, max_length=MAX_MEMBERS)]
    release_key: ReleaseKey | None = None


TrustTier = Literal["none", "affirming", "warning", "contraindicated"]
"""What is thought of a part of a platform (AR4SI, draft-ietf-rats-ar4si, section 2.3.2)."""


class TrustVector(StrictModel):
    """What is thought of a platform, part by part (AR4SI section 2.3.4); a part that nothing was said of is absent."""

    instance_identity: TrustTier | None = None
    configuration: TrustTier | None = None
    executables: TrustTier | None = None
    file_system: TrustTier | None = None
    hardware: TrustTier | None = None
    runtime_opaque: TrustTier | None = None
    storage_opaque: TrustTier | None = None
    sourced_data: TrustTier | None = None


class SealTerms(StrictModel):
    """What the platform of an aggregator must prove, so that updates are sealed to its release key.

    Attributes:
        level: at least.
        age_seconds: of the evidence at most.
        references: the reference values, by name, with one of which the evidence agrees; nobody's does with none.
    """

    level: AttestationLevel
    age_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)]
    references: Annotated[list[Label], Field(max_length=MAX_REFERENCES)] = Field(default_factory=list)


class AttestedObligation(StrictModel):
    """What policy makes of evidence.

    Attributes:
        level: proven.
        reference: the reference values that it agrees with.
        vector: part by part.
    """

    level: AttestationLevel
    reference: Label
    vector: TrustVector


class Difference(StrictModel):
    """A claim that is not what it should be.

    Attributes:
        claim: its name, such as ``measurements.pcr7``.
        seen: what the evidence says; empty when it says nothing.
        wanted: what would do, each; bounded.
    """

    claim: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    seen: Annotated[str, StringConstraints(max_length=256)]
    wanted: Annotated[list[Annotated[str, StringConstraints(max_length=256)]], Field(max_length=8)]

    @property
    def sentence(self) -> str:
        """The same for people."""
        wanted = " or ".join(self.wanted) or "nothing of the kind"
        return f"{self.claim} is {self.seen or 'not stated'}, wanted: {wanted}."


class AttestationResult(StrictModel):
    """What became of evidence that policy accepted.

    Attributes:
        decision_id: of the appraisal.
        level: proven.
        reference: the reference values that the evidence agrees with.
        verified_at: Unix seconds.
        expires_at: Unix seconds; no decision relies on it longer.
        result: the same, signed: an EAT Attestation Result (draft-ietf-rats-ear) as a JWT.
    """

    decision_id: Identifier
    kind: EvidenceType
    level: AttestationLevel
    reference: Label
    verified_at: Timestamp
    expires_at: Timestamp
    result: Annotated[str, StringConstraints(min_length=1, max_length=8192)]
