"""What is learned: eight numbers, from noisy sums of them. Replace this module with your own task."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

TRUTH: Vector = np.linspace(-1.0, 1.0, 8, dtype=np.float32)


def new_weights() -> Vector:
    """Return untrained weights; every party starts from the same ones."""
    return np.zeros_like(TRUTH)


def shard(seed: int, examples: int = 64) -> tuple[Vector, Vector]:
    """Return a device's own inputs, [examples, 8], and their noisy sums, [examples]."""
    drawn = np.random.default_rng(seed)
    inputs = drawn.normal(size=(examples, len(TRUTH))).astype(np.float32)
    noise = drawn.normal(scale=0.1, size=examples).astype(np.float32)
    return inputs, (inputs @ TRUTH + noise).astype(np.float32)


def train(weights: Vector, inputs: Vector, sums: Vector, steps: int = 5, rate: float = 0.1) -> Vector:
    """Return weights after so many steps of gradient descent."""
    for _ in range(steps):
        weights = weights - rate * (inputs.T @ (inputs @ weights - sums)) / len(sums)
    return weights.astype(np.float32)


def error(weights: Vector) -> float:
    """Return how far weights are from the truth, as a Euclidean distance."""
    return float(np.linalg.norm(weights - TRUTH))
