"""Versions of models that somebody signed: how they are registered, what is known of them, and their end."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Count, Digest, Identifier, Label, Name, StrictModel, Timestamp, Why

MAX_BUNDLE_CHARS = 3 * 1024 * 1024
"""Of a signature: room for a manifest of about ten thousand files."""

MAX_FILES = 10_000
MAX_FILE_CHARS = 512
MAX_STATED_CHARS = 64 * 1024
MAX_VERSIONS = 200

FileName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILE_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$")]

SignatureCause = Literal[
    "malformed", "unsupported", "unsigned", "untrusted", "expired", "not_yet_valid", "signature", "inconsistent"
]
"""Every way in which a signature does not hold.

``malformed`` is no bundle of a signed manifest; ``unsupported`` is one of another kind, or with other digests;
``unsigned`` bears no signature; ``untrusted`` is by nobody whose key or root is known; ``expired`` and
``not_yet_valid`` are about the signer's certificate; ``signature`` does not hold; ``inconsistent`` is a manifest, or a
statement of tensors, that contradicts itself.
"""

SignatureState = Literal[
    "verified",
    "malformed",
    "unsupported",
    "unsigned",
    "untrusted",
    "expired",
    "not_yet_valid",
    "signature",
    "inconsistent",
]

VersionState = Literal["registered", "withdrawn"]


class VersionRequest(StrictModel):
    """Somebody registers what was signed.

    Attributes:
        bundle: the text of ``model.sig``, as OpenSSF model signing writes it.
        tensors: the text of the file of the model that states the digest of its tensors, where there is one.
    """

    bundle: Annotated[str, StringConstraints(min_length=2, max_length=MAX_BUNDLE_CHARS)]
    tensors: Annotated[str | None, StringConstraints(max_length=MAX_STATED_CHARS)] = None


class VersionFile(StrictModel):
    """One file of a version.

    Attributes:
        name: its path below the model's folder; ``.`` where the model is a single file.
        digest: of its bytes.
    """

    name: FileName
    digest: Digest


class ModelVersion(StrictModel):
    """A version of a model whose signature was verified.

    Attributes:
        model: its identifier in ``policies/data``.
        id: digest of the manifest as it was signed and of the key that signed it.
        name: what its signer called it.
        root: digest of all files' digests, as the signer stated it.
        signer: whose key or root verified the signature, by its name here.
        signed_as: subject of the signer's certificate; empty where it was a key.
        tensors: digest of its tensors, as rounds name weights; none where the signer stated none.
        files: how many there are.
        registered_at: Unix seconds.
        registered_by: who told of it.
        decision_id: that let it be registered; none where it was registered on the store itself.
        state: ``withdrawn`` counts nowhere any more.
        withdrawn_at: since when it is.
        withdrawn_by: by whom.
        withdrawn_why: for what reason.
    """

    model: Identifier
    id: Digest
    name: Name
    root: Digest
    signer: Label
    signed_as: Annotated[str, StringConstraints(max_length=256)] = ""
    tensors: Digest | None = None
    files: Count
    registered_at: Timestamp
    registered_by: Identifier
    decision_id: Identifier | None = None
    state: VersionState
    withdrawn_at: Timestamp | None = None
    withdrawn_by: Identifier | None = None
    withdrawn_why: Why | None = None


class VersionDetail(ModelVersion):
    """A version with all that was signed.

    Attributes:
        contents: its files.
        bundle: the signature itself, for whoever verifies it again.
    """

    contents: Annotated[list[VersionFile], Field(max_length=MAX_FILES)]
    bundle: Annotated[str, StringConstraints(max_length=MAX_BUNDLE_CHARS)]


class VersionsFound(StrictModel):
    """Versions of a model, the latest first."""

    versions: Annotated[list[ModelVersion], Field(max_length=MAX_VERSIONS)]


class VersionWithdrawal(StrictModel):
    """A version is to be handed out no more.

    Attributes:
        reason: why; it is kept with the version.
    """

    reason: Why
