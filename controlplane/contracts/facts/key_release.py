"""An attested device asks for a secret, as `ztfm.key_release` decides it."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.access import Network, Purpose
from controlplane.contracts.attestation import MAX_SHARDS, EvidenceType, SealingSuite
from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.facts.access import CurrentExceptions
from controlplane.contracts.facts.subjects import MAX_RESULTS, Age, ProvenFact, SubjectFact


class KeyReleaseAction(StrictModel):
    """The action of a device that asks for a secret."""

    name: Literal["key_release"]


class SecretResource(StrictModel):
    """What is asked for, by its name."""

    type: Literal["secret"]
    id: Identifier


class ResultFact(ProvenFact):
    """What became of the device's latest evidence of one kind, while it counts.

    Attributes:
        suite: of the release key that the evidence binds; absent where it binds none.
    """

    suite: SealingSuite | None = None


class ShardCapabilityFact(StrictModel):
    """The capability that was shown for a model whose shard the secret opens.

    Attributes:
        verified: it is this device's, bound to the key or certificate of this request, for a pull, and holds.
        cause: why not.
        model: that it is for.
        purpose: that it is for.
        whole: it names no shards: the model is not given out by shards.
        shards: that it names.
        age_seconds: since it was issued.
    """

    verified: bool
    cause: Label | Literal[""]
    model: Identifier | Literal[""]
    purpose: Purpose | Literal[""]
    whole: bool
    shards: Annotated[list[Label], Field(max_length=MAX_SHARDS)]
    age_seconds: Age


class KeyReleaseContext(StrictModel):
    """Circumstances of a request for a secret.

    Attributes:
        registered: the secret is kept here.
        results: of evidence, by its kind; those alone that have not expired.
        capability: absent where none was shown.
    """

    time: Timestamp
    network: Network
    purpose: Purpose
    registered: bool
    results: Annotated[dict[EvidenceType, ResultFact], Field(max_length=MAX_RESULTS)]
    capability: ShardCapabilityFact | None = None
    exceptions: CurrentExceptions | None = None


class KeyReleaseFacts(StrictModel):
    """Input of ``data.ztfm.key_release``: whether a secret is sealed to a device's platform."""

    subject: SubjectFact
    action: KeyReleaseAction
    resource: SecretResource
    context: KeyReleaseContext
