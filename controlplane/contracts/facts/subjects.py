"""Facts about whoever asks, as the registry and the counters know it."""

from typing import Annotated

from pydantic import Field

from controlplane.contracts.access import OpenModel
from controlplane.contracts.base import Count, Identifier, Label, StrictModel, Thumbprint
from controlplane.contracts.identity import AttestationLevel, DeviceStatus, Roles, Trust

Age = Annotated[float, Field(ge=0.0, le=1e10)]
"""Seconds since something happened."""


class AttestationFact(StrictModel):
    """How far the subject's platform is proven, and how long ago; no age without a level."""

    level: AttestationLevel
    age_seconds: Age | None = None


class SubjectFacts(OpenModel):
    """What is known of the subject."""

    status: DeviceStatus
    roles: Roles
    segment: Label
    key_thumbprint: Thumbprint
    attestation: AttestationFact
    trust: Trust


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
