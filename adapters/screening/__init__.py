"""Screening: from a cohort's model updates to the evidence that policies decide on. Tensors go no further."""

from adapters.screening.digest import update_digest
from adapters.screening.manifest import Manifest, TensorSpec
from adapters.screening.screen import screen

__all__ = ["Manifest", "TensorSpec", "screen", "update_digest"]
