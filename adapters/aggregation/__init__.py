"""From the updates that a round accepted to the one that moves the model; which way, policy picks."""

from adapters.aggregation.aggregate import aggregate

__all__ = ["aggregate"]
