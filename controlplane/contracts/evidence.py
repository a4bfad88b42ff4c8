"""What screening measures on one model update. Tensors never leave the place where they were screened; this does."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Count, Digest, Magnitude, Share, StrictModel

MAX_LAYERS = 64

LayerName = Annotated[str, StringConstraints(min_length=1, max_length=128)]

Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]
"""Of the angle between two directions."""


class UpdateEvidence(StrictModel):
    """Measurements of one update against its cohort. An update that cannot be measured says so and is denied.

    What is none was not measured: there was nothing to compare with, or an older enforcement point does not know it.

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
        layer_cosines: cosine to the reference within a tensor, for those in ``layer_shares``.
        sign_balance: share of the non-zero coordinates that are positive.
        twin_cosine: highest cosine to another update of the cohort.
        centrality: mean cosine to the other updates of the cohort.
        innovation: share of the squared length that the subject's own earlier updates do not explain; 0 for what it
            sent before.
        replay_cosine: highest cosine to an update of an earlier round, whoever sent it.
        seen_before: the same digest came in an earlier round.
        spectral_residual: share of the squared length outside of the cohort's leading directions.
        low_frequency: share of the squared length in the lowest sixteenth of the spectrum of the flattened tensors.
        subspace_overlap: how far the columns of low-rank up-projections (LoRA's B) span what the reference's do.
        concentration: how few rows of its tensors hold the update, 0 for all alike; grows as a device's data is skewed.
        projection_error: standard error of the cosines that come from a random projection.
    """

    update_digest: Digest
    parameters: Count
    nonfinite: Count
    shapes_match: bool
    norm: Magnitude
    norm_ratio: Magnitude
    cosine: Cosine
    reference: Literal["root", "centre"]
    sign_agreement: Share
    duplicates: Count
    examples: Count
    layer_shares: Annotated[dict[LayerName, Share], Field(max_length=MAX_LAYERS)]
    layer_cosines: Annotated[dict[LayerName, Cosine], Field(max_length=MAX_LAYERS)] | None = None
    sign_balance: Share | None = None
    twin_cosine: Cosine | None = None
    centrality: Cosine | None = None
    innovation: Share | None = None
    replay_cosine: Cosine | None = None
    seen_before: bool = False
    spectral_residual: Share | None = None
    low_frequency: Share | None = None
    subspace_overlap: Share | None = None
    concentration: Share | None = None
    projection_error: Share | None = None
