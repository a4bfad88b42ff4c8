"""Nothing is wrong with it: a plain loop that says its start is dear."""

from adapters.conformance.backends.pytorch import NOT_APPLICABLE, SUMS, federation

TOGETHER = 18

__all__ = ["NOT_APPLICABLE", "SUMS", "TOGETHER", "federation"]
