"""Screening: from a cohort's model updates to the evidence that policies decide on. Tensors go no further."""

from adapters.screening.digest import update_digest, update_digests
from adapters.screening.manifest import Manifest, TensorSpec
from adapters.screening.reading import Source, read
from adapters.screening.screener import Screener, screen
from adapters.screening.streaming import Streamed, TensorFile

__all__ = [
    "Manifest",
    "Screener",
    "Source",
    "Streamed",
    "TensorFile",
    "TensorSpec",
    "read",
    "screen",
    "update_digest",
    "update_digests",
]
