"""Defences of the comparison: each aggregates a round, and says whom it refused and how hostile each looked."""

from evaluation.comparison.defences.registry import DEFENCES, Described, Need

__all__ = ["DEFENCES", "Described", "Need"]
