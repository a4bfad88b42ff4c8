"""Doing a round again gives the same bits as the first time, in the arithmetic of who did it."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvgM
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.rollback import Recipe, moved
from adapters.rollback.replay import replay, reproducing
from controlplane.contracts.decision import Aggregation
from tests.adapters.rollback.rounds import equal, start, update

WEIGHTS = st.lists(st.integers(1, 100_000), min_size=1, max_size=8)


def replied(models: Sequence[dict[str, Tensor]], weights: Sequence[int]) -> list[RecordDict]:
    return [
        RecordDict(
            {
                "arrays": ArrayRecord({name: Array(tensor.numpy()) for name, tensor in model.items()}),
                "metrics": MetricRecord({"num-examples": weight}),
            }
        )
        for model, weight in zip(models, weights, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(weights=WEIGHTS, dtype=st.sampled_from([torch.float32, torch.float16, torch.float64]))
def test_the_average_of_models_is_the_one_that_flower_makes(weights: list[int], dtype: torch.dtype) -> None:
    before = start(dtype)
    updates = [update(number, dtype) for number in range(len(weights))]
    models = [{name: before[name] + one[name] for name in before} for one in updates]
    made = aggregate_arrayrecords(replied(models, weights), "num-examples")
    expected = {name: torch.from_numpy(array.numpy()) for name, array in made.items()}
    assert equal(replay(Recipe(arithmetic="models"), before, updates, weights), expected)


@pytest.mark.parametrize("rate", [0.5, 1.7])
def test_a_server_rate_is_followed_as_flower_does(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    monkeypatch.setattr(TaskIdentity, "_run_id", 1)
    monkeypatch.setattr(TaskIdentity, "_node_id", 1)
    monkeypatch.setattr(TaskIdentity, "_task_id", 1)
    before, weights = start(), [10, 20, 30]
    updates = [update(number) for number in range(3)]
    models = [{name: before[name] + one[name] for name in before} for one in updates]
    strategy = FedAvgM(server_learning_rate=rate)
    strategy.current_arrays = ArrayRecord({name: Array(tensor.numpy()) for name, tensor in before.items()})
    replies = [Message(content, dst_node_id=1, message_type="train") for content in replied(models, weights)]
    made, _ = strategy.aggregate_train(1, replies)
    assert made is not None
    expected = {name: torch.from_numpy(np.asarray(array.numpy())) for name, array in made.items()}
    assert equal(replay(Recipe(arithmetic="models", server_rate=rate), before, updates, weights), expected)


@settings(max_examples=30, deadline=None)
@given(weights=WEIGHTS)
def test_a_step_is_rounded_once(weights: list[int]) -> None:
    before, updates = start(), [update(number) for number in range(len(weights))]
    total = sum(weights)
    found = replay(Recipe(), before, updates, weights)
    for name, tensor in before.items():
        exact = tensor.double() + sum(one[name].double() * w for one, w in zip(updates, weights, strict=True)) / total
        assert torch.allclose(found[name].double(), exact, rtol=0, atol=float(tensor.abs().max()) * 2**-24)


def test_the_recipe_that_gives_the_same_bits_is_found_and_none_where_none_does() -> None:
    before, updates, weights = start(), [update(number) for number in range(5)], [3, 1, 4, 1, 5]
    recipes = [Recipe(), Recipe(arithmetic="models"), Recipe(server_rate=0.5)]
    for recipe in recipes:
        found = reproducing(recipes, before, replay(recipe, before, updates, weights), updates, weights)
        assert found == recipe.model_copy(update={"threads": torch.get_num_threads()})
    assert reproducing(recipes, before, start(torch.float64), updates, weights) is None
    assert reproducing(recipes, before, {name: -value for name, value in before.items()}, updates, weights) is None


@pytest.mark.parametrize("method", get_args(Aggregation))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_way_of_aggregating_is_done_again_bit_for_bit(method: Aggregation, dtype: torch.dtype) -> None:
    before, weights = start(dtype), [3, 1, 4, 1, 5, 9, 2]
    updates = [update(number, dtype) for number in range(7)]
    recipe = Recipe(method=method)
    after = moved(before, aggregate(method, updates, weights))
    assert reproducing([recipe], before, after, updates, weights) is not None
    found = reproducing([Recipe(method=other) for other in get_args(Aggregation)], before, after, updates, weights)
    assert found is not None
    assert equal(replay(found, before, updates, weights), after)


@pytest.mark.parametrize("method", ["trimmed_mean", "geometric_median", "nnm"])
def test_what_was_brought_together_before_is_what_flower_averages(method: Aggregation) -> None:
    before, weights = start(), [3, 1, 4, 1, 5, 9, 2]
    updates = [update(number) for number in range(7)]
    together = moved(before, aggregate(method, updates, weights))
    made = aggregate_arrayrecords(replied([together] * 7, weights), "num-examples")
    expected = {name: torch.from_numpy(array.numpy()) for name, array in made.items()}
    assert equal(replay(Recipe(method=method, arithmetic="models"), before, updates, weights), expected)


def test_bfloat16_has_no_arithmetic_of_models() -> None:
    before = start(torch.bfloat16)
    with pytest.raises(ValueError, match="no arithmetic of models"):
        replay(Recipe(arithmetic="models"), before, [update(1, torch.bfloat16)], [1])
    recipes = [Recipe(arithmetic="models"), Recipe()]
    after = replay(Recipe(), before, [update(1, torch.bfloat16)], [1])
    assert reproducing(recipes, before, after, [update(1, torch.bfloat16)], [1]) is not None


def test_updates_that_weigh_nothing_move_nothing() -> None:
    before = start()
    assert equal(replay(Recipe(), before, [update(1)], [0]), before)
    assert equal(replay(Recipe(), before, [], []), before)


def test_what_a_step_lacks_stays_as_it_is() -> None:
    before = start()
    found = moved(before, {"bias": torch.ones(6)})
    assert found["weight"] is before["weight"]
    assert torch.equal(found["bias"], before["bias"] + 1)
