"""What screening measures on one model update. Tensors never leave the place where they were screened; this does."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Count, Digest, Magnitude, Share, StrictModel

MAX_LAYERS = 64

LayerName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class UpdateEvidence(StrictModel):
    """Measurements of one update against its cohort. An update that cannot be measured says so and is denied.

    Attributes:
        update_digest: canonical digest over names, dtypes, shapes and bytes.
        parameters: number of values in the update.
        nonfinite: how many of them are NaN or infinite.
        shapes_match: names, shapes and dtypes are those of the round's manifest.
        norm: Euclidean norm of the whole update.
        norm_ratio: norm over the cohort's median norm; 0 when it cannot be measured.
        cosine: cosine to the reference direction; -1 when it cannot be measured.
        reference: ``root`` for an update on trusted data, ``centre`` for a robust centre of the cohort.
        sign_agreement: share of coordinates whose sign is that of the reference.
        duplicates: other updates of the cohort that are near-identical (Sybils).
        examples: training examples behind the update, as the device claims.
        layer_shares: share of the squared norm by tensor, the largest 64.
    """

    update_digest: Digest
    parameters: Count
    nonfinite: Count
    shapes_match: bool
    norm: Magnitude
    norm_ratio: Magnitude
    cosine: Annotated[float, Field(ge=-1.0, le=1.0)]
    reference: Literal["root", "centre"]
    sign_agreement: Share
    duplicates: Count
    examples: Count
    layer_shares: Annotated[dict[LayerName, Share], Field(max_length=MAX_LAYERS)]
