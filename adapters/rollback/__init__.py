"""Rollback: accepted updates are kept, signed and chained, so that a model can be rebuilt without some of them."""

from adapters.rollback.aggregated import Aggregated, Contributed
from adapters.rollback.archive import DeltaArchive
from adapters.rollback.errors import ArchiveDamaged, ArchiveError, ArchiveInUse, Stopped, Superseded, TooLarge
from adapters.rollback.manifest import Answer, Asked, KeptUpdate, Recipe, RollbackEntry, RoundEntry
from adapters.rollback.rebuilding import Rebuilt
from adapters.rollback.replay import digest_of_weights, moved
from adapters.rollback.verifying import Done, Verified, verify

__all__ = [
    "Aggregated",
    "Answer",
    "ArchiveDamaged",
    "ArchiveError",
    "ArchiveInUse",
    "Asked",
    "Contributed",
    "DeltaArchive",
    "Done",
    "KeptUpdate",
    "Rebuilt",
    "Recipe",
    "RollbackEntry",
    "RoundEntry",
    "Stopped",
    "Superseded",
    "TooLarge",
    "Verified",
    "digest_of_weights",
    "moved",
    "verify",
]
