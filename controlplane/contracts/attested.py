"""What is kept of a device's attestation, as those see it whom policy lets."""

from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.attestation import EvidenceType, ReleaseKey
from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.identity import Attestation, AttestationLevel


class KeptResult(StrictModel):
    """What became of the latest evidence of one kind.

    Attributes:
        kind: of evidence.
        level: proven; ``none`` where evidence, of this kind or another, contradicted the reference values.
        reference: the reference values that it agreed with; empty with level ``none``.
        platform: names the hardware that was shown first, or that proved the level, as the verifier does.
        verified_at: Unix seconds.
        expires_at: Unix seconds; no decision relies on it longer.
        release_key: to which secrets may be sealed until then.
        decision_id: of the appraisal.
        result: signed, as it was handed out; empty with level ``none``.
    """

    kind: EvidenceType
    level: AttestationLevel
    reference: Label | Annotated[str, StringConstraints(max_length=0)]
    platform: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,256}$")]
    verified_at: Timestamp
    expires_at: Timestamp
    release_key: ReleaseKey | None = None
    decision_id: Identifier
    result: Annotated[str, StringConstraints(max_length=8192)]


class DeviceAttestation(StrictModel):
    """How far a device's platform is proven, and by what.

    Attributes:
        subject: the device.
        attestation: what decisions read now.
        results: one a kind of evidence, the latest.
    """

    subject: Identifier
    attestation: Attestation
    results: Annotated[list[KeptResult], Field(max_length=64)]
