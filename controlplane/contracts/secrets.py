"""Secrets that are released to attested platforms: keys of a model's shards, keys of data."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from controlplane.contracts.access import Purpose
from controlplane.contracts.attestation import EvidenceType, SealingSuite
from controlplane.contracts.base import Identifier, StrictModel, Timestamp, Token

MIN_SECRET_BYTES = 16
MAX_SECRET_BYTES = 512
MAX_SECRETS = 10_000

SecretText = Annotated[str, StringConstraints(min_length=22, max_length=683, pattern=r"^[A-Za-z0-9_-]+$")]
"""16 to 512 bytes in base64url. Never log one."""

Enclosed = Annotated[str, StringConstraints(min_length=22, max_length=2048, pattern=r"^[A-Za-z0-9_-]+$")]
"""An encapsulation or a ciphertext in base64url."""


class SecretRequest(StrictModel):
    """A secret that is to be kept, and released to those whom policy says.

    Attributes:
        id: its name, such as ``fall-detection/adapter``; what policy says of it stands under the same name.
        secret: base64url of 16 to 512 bytes; without one, 32 random bytes are made here that nobody has seen.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    id: Identifier
    secret: Annotated[SecretText | None, Field(repr=False)] = None


class RegisteredSecret(StrictModel):
    """A secret as it is kept; it is shown to nobody.

    Attributes:
        size_bytes: of it.
        made_here: nobody brought it: it was made here.
        registered_by: who had it kept.
        registered_at: Unix seconds.
    """

    id: Identifier
    size_bytes: Annotated[int, Field(ge=MIN_SECRET_BYTES, le=MAX_SECRET_BYTES)]
    made_here: bool
    registered_by: Identifier
    registered_at: Timestamp


@dataclass(frozen=True)
class KeptSecret:
    """A row of the store.

    Attributes:
        registered: what is known of a secret.
        sealed: the secret, under the sealing key.
    """

    registered: RegisteredSecret
    sealed: bytes = field(repr=False)


class SecretsFound(StrictModel):
    """The secrets that are kept, by name."""

    secrets: Annotated[list[RegisteredSecret], Field(max_length=MAX_SECRETS)]


class ReleaseRequest(StrictModel):
    """A device asks for a secret; who it is, and to which key of its platform it is sealed, is known already.

    Attributes:
        purpose: for what.
        capability: for the model whose shard the secret opens; what it names, and nothing more, is released for it.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    purpose: Purpose
    capability: Annotated[Token | None, Field(repr=False)] = None


class ReleasedSecret(StrictModel):
    """A secret, sealed to the release key that fresh evidence binds (HPKE, RFC 9180, base mode).

    Its ``info`` is `controlplane.confidentiality.releasing.release_info` of secret, device, decision and revision.

    Attributes:
        secret: its name.
        device: to whom.
        kind: of the evidence that binds the key.
        suite: of the key.
        enc: the encapsulation.
        ciphertext: the secret, sealed.
        decision_id: that released it.
        policy_revision: that decided.
        expires_at: until when it may be relied on, Unix seconds; then it is asked for anew.
    """

    secret: Identifier
    device: Identifier
    kind: EvidenceType
    suite: SealingSuite
    enc: Enclosed
    ciphertext: Enclosed
    decision_id: Identifier
    policy_revision: Annotated[str, StringConstraints(max_length=128)]
    expires_at: Timestamp
