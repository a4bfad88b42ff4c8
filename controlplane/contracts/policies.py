"""Policies as they are published: layers, releases, what decides now."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Name, StrictModel, Timestamp

PolicyLayer = Literal["base", "tenant", "site"]
"""Whose policies: the organisation's, a tenant's, a site's. A lower layer only narrows what those above allow."""

LAYERS: tuple[PolicyLayer, ...] = ("base", "tenant", "site")

ReleaseOrigin = Literal["built_in", "published", "rolled_back"]
"""How a release came: with the installation, by `publish`, or back by `rollback`."""

Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
"""``<commit>.<content>``: the commit that the policies were at, and 16 digits of the SHA-256 over their content.

Never ``+`` or ``:``, which join the revisions of several layers: no layer's bundle speaks for another's.
"""

BundleDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def digest_of(body: bytes) -> str:
    """Return the digest of a bundle, by which it is named: ``sha256:`` and 64 hex digits over its bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Release(StrictModel):
    """One published state of a layer; the newest one of a layer is the one that is to decide.

    Attributes:
        sequence: counts up over all layers.
        digest: SHA-256 of the bundle as it is served.
        key_id: of the key that signed it: an RFC 7638 thumbprint.
        published_by: who did, by the name that policy decided about.
    """

    sequence: Annotated[int, Field(ge=1)]
    layer: PolicyLayer
    revision: Revision
    digest: BundleDigest
    key_id: Annotated[str, StringConstraints(max_length=64)]
    origin: ReleaseOrigin
    published_at: Timestamp
    published_by: Name
    size_bytes: Annotated[int, Field(ge=0)]


class Releases(StrictModel):
    """Releases, newest first."""

    releases: list[Release]


RefusalReason = Literal[
    "unsigned",
    "tampered",
    "untrusted",
    "does_not_compile",
    "fails_checks",
    "fails_tests",
    "conflicting",
    "malformed",
    "too_large",
    "cannot_be_checked",
]
"""Why a bundle is not taken, in one word."""


class Refusal(StrictModel):
    """A bundle that was not taken.

    Attributes:
        detail: what a person needs to mend it, as the checks say it.
    """

    time: Timestamp
    layer: PolicyLayer
    reason: RefusalReason
    detail: Annotated[str, StringConstraints(max_length=4096)]


class LayerStanding(StrictModel):
    """Where a layer stands.

    Attributes:
        is_expected: whether the layer decides here; one that does not may have releases for others.
        release: the one that is to decide; none where nothing was published yet.
        active_revision: the one by which the engine decides; empty when it decides by none.
        age_seconds: since the release was published.
        refusal: the last bundle that was not taken, by this process.
    """

    layer: PolicyLayer
    is_expected: bool
    release: Release | None = None
    active_revision: str
    age_seconds: Annotated[float, Field(ge=0.0)] | None = None
    refusal: Refusal | None = None


class PolicyStanding(StrictModel):
    """What decides.

    Attributes:
        engine: how it is evaluated: by an OPA, or embedded as WebAssembly.
        revision: as decisions carry it.
    """

    engine: Literal["opa", "embedded"]
    revision: str
    layers: list[LayerStanding]


class RollbackRequest(StrictModel):
    """Go back to an earlier release of a layer.

    Attributes:
        revision: of that release; none for the one before the current one.
    """

    layer: PolicyLayer = "base"
    revision: Revision | None = None
