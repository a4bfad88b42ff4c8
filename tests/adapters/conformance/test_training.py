"""What the kit knows of training beforehand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.conformance import training

HONEST = [[(number, turn) for number in range(5)] for turn in range(2)]


def test_honest_updates_bring_the_model_to_the_target() -> None:
    moved = [training.progress(training.after(HONEST[:rounds])) for rounds in range(3)]
    assert moved[0] == 0.0
    assert moved[1] == pytest.approx(0.5, abs=0.05)
    assert moved[2] == pytest.approx(0.75, abs=0.05)
    assert training.distance(training.after(HONEST), training.after(HONEST)) == 0.0


@settings(max_examples=30)
@given(turn=st.integers(0, 1), number=st.integers(5, 50))
def test_one_more_honest_update_in_one_round_is_found(turn: int, number: int) -> None:
    entered = [[*entries, (number, turn)] if place == turn else entries for place, entries in enumerate(HONEST)]
    assert training.distance(training.after(entered), training.after(HONEST)) > 2 * training.TOLERANCE


@settings(max_examples=30)
@given(left_out=st.integers(0, 4), turn=st.integers(0, 1))
def test_one_update_less_in_one_round_is_found(left_out: int, turn: int) -> None:
    entered = [
        [entry for entry in entries if place != turn or entry[0] != left_out] for place, entries in enumerate(HONEST)
    ]
    assert training.distance(training.after(entered), training.after(HONEST)) > 2 * training.TOLERANCE


def test_an_update_that_counts_more_than_it_may_is_found() -> None:
    everybody = [[*entries, (5, turn)] for turn, entries in enumerate(HONEST)]
    ten, thousand = (training.after(everybody, {5: share}) for share in (10.0, 1000.0))
    assert training.distance(thousand, ten) > 2 * training.TOLERANCE
    assert training.distance(training.after(everybody), ten) > 2 * training.TOLERANCE


def test_numbers_of_half_precision_on_the_way_are_no_difference() -> None:
    sent = {name: tensor.half().float() for name, tensor in training.after(HONEST).items()}
    assert training.distance(sent, training.after(HONEST)) < training.TOLERANCE / 5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_beside_everything(value: float) -> None:
    weights = training.after(HONEST)
    weights["head.weight"][0, 0] = value
    assert training.distance(weights, training.after(HONEST)) == math.inf


@pytest.mark.parametrize("change", [{"more": torch.zeros(1)}, {"head.weight": torch.zeros(1)}])
def test_weights_of_another_form_are_beside_everything(change: dict[str, Tensor]) -> None:
    assert training.distance({**training.after(HONEST), **change}, training.after(HONEST)) == math.inf


def test_an_update_is_the_same_wherever_it_is_made_and_another_in_each_round() -> None:
    state = training.initial()
    first, again, later = (training.honest_update(state, 3, turn) for turn in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], later["head.weight"])
