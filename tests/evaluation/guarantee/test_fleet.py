"""Gradients that are written out are those that torch finds, for every home of a batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from evaluation.guarantee.fleet import BATCH, Data, Vectors, reference, shards, train
from evaluation.smart_home.model import ADAPTER_SCALE, LOGIT_SCALE

RATE, ADAPTER_RATE = 0.7, 0.2


def small(sentences: int = 40) -> Vectors:
    generator = torch.Generator().manual_seed(3)
    vectors = F.normalize(torch.randn(sentences, 12, generator=generator), dim=1)
    down = torch.randn(2, 12, generator=generator)
    return Vectors(vectors, vectors @ down.T, torch.arange(sentences) % 5, 5)


def state_of(vectors: Vectors) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(value.shape, generator=generator) * 0.1 for name, value in vectors.initial().items()}


def test_one_step_is_a_step_of_gradient_descent() -> None:
    vectors, size = small(), 20
    state = state_of(vectors)
    shard = torch.stack([torch.arange(size), torch.arange(20, 20 + size)])
    updates = train(vectors, state, shard, RATE, ADAPTER_RATE, torch.Generator().manual_seed(0))
    for home, own in enumerate(shard):
        parts = {name: value.clone().requires_grad_() for name, value in state.items()}
        adapted = vectors.sentences[own] + ADAPTER_SCALE * vectors.lowered[own] @ parts["adapter.vector_up"].T
        logits = LOGIT_SCALE * adapted @ parts["head.weight"].T + parts["head.bias"]
        F.cross_entropy(logits, vectors.labels[own]).backward()  # type: ignore[no-untyped-call]
        for name, value in parts.items():
            rate = ADAPTER_RATE if name.startswith("adapter") else RATE
            assert value.grad is not None
            torch.testing.assert_close(updates[name][home], -rate * value.grad, rtol=1e-4, atol=1e-6)


def test_a_home_sees_each_of_its_sentences_once_a_round_whatever_their_order() -> None:
    vectors, shard, rate = small(), torch.arange(2 * BATCH)[None] % 40, 1e-4
    state = state_of(vectors)
    one, other = (
        train(vectors, state, shard, rate, rate, torch.Generator().manual_seed(seed))["head.weight"] / rate
        for seed in (0, 1)
    )
    assert not torch.equal(one, other)
    torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)


def test_training_does_not_touch_what_was_received() -> None:
    vectors = small()
    state = state_of(vectors)
    before = {name: value.clone() for name, value in state.items()}
    train(vectors, state, torch.arange(20)[None], RATE, ADAPTER_RATE, torch.Generator())
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_what_is_learnt_is_the_task(data: Data) -> None:
    state, generator = data.train.initial(), torch.Generator().manual_seed(0)
    for _ in range(4):
        update = reference(data, state, 1.0, 0.2, generator)
        state = {name: value + update[name] for name, value in state.items()}
    logits = LOGIT_SCALE * data.train.sentences @ state["head.weight"].T + state["head.bias"]
    assert (logits.argmax(dim=1) == data.train.labels).float().mean() > 0.6


@pytest.mark.parametrize(("alpha", "most"), [(100.0, 0.1), (0.1, 0.7)])
def test_the_smaller_alpha_the_more_a_home_keeps_to_few_labels(alpha: float, most: float) -> None:
    labels = torch.arange(400) % 20
    found = labels[shards(labels, 30, 100, alpha, np.random.default_rng(0))]
    largest = F.one_hot(found, 20).float().mean(dim=1).max(dim=1).values.mean()
    assert largest == pytest.approx(most, abs=0.3)
    assert found.shape == (30, 100)


def test_the_same_seed_draws_the_same_shards() -> None:
    labels = torch.arange(50) % 5
    one, other = (shards(labels, 3, 10, 0.5, np.random.default_rng(1)) for _ in range(2))
    assert torch.equal(one, other)
