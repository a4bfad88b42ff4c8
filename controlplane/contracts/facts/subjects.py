"""Facts about whoever asks, as the registry and the counters know it."""

from typing import Annotated

from pydantic import Field

from controlplane.contracts.access import OpenModel
from controlplane.contracts.attestation import EvidenceType
from controlplane.contracts.base import Count, Identifier, Label, Share, StrictModel, Thumbprint
from controlplane.contracts.identity import AttestationLevel, DeviceStatus, Roles, Trust

Age = Annotated[float, Field(ge=0.0, le=1e10)]
"""Seconds since something happened."""


class AttestationFact(StrictModel):
    """How far the subject's platform is proven, and how long ago; no age without a level."""

    level: AttestationLevel
    age_seconds: Age | None = None


class ProvenFact(StrictModel):
    """What became of somebody's latest evidence of one kind, while it counts.

    Attributes:
        level: proven.
        reference: the reference values that it agrees with.
        age_seconds: since it was appraised.
    """

    level: AttestationLevel
    reference: Label
    age_seconds: Age


MAX_RESULTS = 64

ProvenFacts = Annotated[dict[EvidenceType, ProvenFact], Field(max_length=MAX_RESULTS)]
"""What became of evidence, by its kind; of that alone that has not expired."""


class TrustHistoryFact(StrictModel):
    """How trust moved lately.

    Attributes:
        known_seconds: for how long this is kept; the others say nothing of what was before.
        steady_seconds: for how long trust has not fallen, by however little.
        lowest: of the last seven days, or as long as it is kept where that is less; the seventh day back counts whole.
    """

    known_seconds: Age
    steady_seconds: Age
    lowest: Share


class TrustFact(Trust):
    """How far a subject's behaviour has earned confidence, now and lately.

    Attributes:
        score: lower confidence bound of the share of its observations that were as its peers' are, 0 to 1.
        observations: how many stand behind it.
        history: absent where it is not known, as of a device that was let back until it is observed again.
    """

    history: TrustHistoryFact | None = None


class SubjectFacts(OpenModel):
    """What is known of the subject."""

    status: DeviceStatus
    roles: Roles
    segment: Label
    key_thumbprint: Thumbprint
    attestation: AttestationFact
    trust: TrustFact


class SubjectFact(StrictModel):
    """The party that asks; without properties when nobody registered it, so that all that is required is missing."""

    type: Label
    id: Identifier
    properties: SubjectFacts | None = None


class UsageFact(StrictModel):
    """What the subject used in the current window.

    Attributes:
        window_seconds: length of the window.
        requests: decisions asked for in it, this one not counted.
        tokens: inference tokens granted in it.
    """

    window_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)]
    requests: Count
    tokens: Count
