"""What is wrong with weights that are to be sealed."""


class UnfitWeightsError(ValueError):
    """Weights cannot be sealed as asked: their file is none, a tensor belongs to no shard, or a shard has no secret."""
