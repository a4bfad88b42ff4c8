"""What a platform proves of itself, as `ztfm.attestation` appraises it (RFC 9334)."""

from typing import Literal

from controlplane.contracts.access import Network
from controlplane.contracts.attestation import Claims, EvidenceCause, EvidenceType, Hex, SealingSuite
from controlplane.contracts.base import Count, StrictModel, Timestamp
from controlplane.contracts.facts.subjects import Age, SubjectFact


class AttestAction(StrictModel):
    """The action of somebody who shows evidence."""

    name: Literal["attest"]


class PlatformResource(StrictModel):
    """What is vouched for: a platform, by the kind of evidence that is shown of it."""

    type: Literal["platform"]
    id: EvidenceType


class ChallengeFact(StrictModel):
    """The challenge that the evidence says it answers.

    Attributes:
        valid: it was made for this subject and this kind of evidence, has not expired, and was never answered before.
        age_seconds: since it was made, where it is valid.
    """

    valid: bool
    age_seconds: Age | None = None


class EvidenceFact(StrictModel):
    """What a verifier found.

    Attributes:
        verified: a platform that a trusted root vouches for signed all that the claims say.
        cause: why not.
        answers: it carries what it has to: this challenge, the subject's key, and the release key that came with it.
        binding: what it has to carry; absent without a challenge.
        platform: whether the device showed evidence of the same kind and platform before, of another one, or of none;
            absent where it does not verify.
        claims: what it says; absent where it does not verify.
    """

    verified: bool
    cause: EvidenceCause | Literal[""]
    answers: bool
    binding: Hex | None = None
    platform: Literal["first", "same", "other"] | None = None
    claims: Claims | None = None


class ReleaseKeyFact(StrictModel):
    """The key that came with the evidence, to which secrets may be sealed."""

    suite: SealingSuite


class PlatformFact(StrictModel):
    """The platform that verified evidence is of.

    Attributes:
        others: how many other active subjects have a current proof of it, by whatever kind of evidence; counted up to
            `controlplane.storage.attestations.MAX_OTHERS`.
    """

    others: Count


class AttestationContext(StrictModel):
    """Circumstances of evidence that is shown."""

    time: Timestamp
    network: Network
    challenge: ChallengeFact
    evidence: EvidenceFact
    platform: PlatformFact | None = None
    release_key: ReleaseKeyFact | None = None


class AttestationFacts(StrictModel):
    """Input of ``data.ztfm.attestation``: what is made of evidence."""

    subject: SubjectFact
    action: AttestAction
    resource: PlatformResource
    context: AttestationContext
