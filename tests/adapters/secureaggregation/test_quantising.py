"""Values as whole numbers, and what is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation import Aborted, Scale
from adapters.secureaggregation.masks import Bits


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 60),
    st.sampled_from([32, 64]),
    st.floats(1e-3, 1e3),
    st.integers(1, 500),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_the_mean_is_as_near_as_the_bound_says(
    clients: int, bits: Bits, clip: float, most_weight: int, is_stochastic: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scale = Scale(clip, clients, bits, most_weight)
    values = generator.normal(0.0, clip, (clients, 9))
    values[0] = clip
    values[-1] = -clip
    weights = generator.integers(1, most_weight + 1, clients)
    rounding = generator if is_stochastic else None
    total = np.zeros(10, dtype=f"<u{bits // 8}")
    for one, weight in zip(values, weights, strict=True):
        total += scale.encode(one, int(weight), rounding)
    mean, weight = scale.decode(total, clients)
    exact = np.average(np.clip(values, -clip, clip), axis=0, weights=weights)
    assert weight == weights.sum()
    assert np.abs(mean - exact).max() <= scale.error(clients, weight, stochastic=is_stochastic)


@pytest.mark.parametrize("bits", [32, 64])
def test_everybody_at_the_bound_does_not_overflow(bits: Bits) -> None:
    scale = Scale(0.5, 100, bits, 1000)
    for sign in (1.0, -1.0):
        one = scale.encode(np.full(3, sign * 7.0), 1000)
        mean, _ = scale.decode(one * one.dtype.type(100), 100)
        np.testing.assert_allclose(mean, np.full(3, sign * 0.5))


def test_rounding_by_chance_is_right_in_the_mean() -> None:
    scale = Scale(1.0, 16_000_000, 32)
    value = np.full(20_000, 0.3 * scale.step)
    nearest, _ = scale.decode(scale.encode(value), 1)
    chance, _ = scale.decode(scale.encode(value, generator=np.random.default_rng(1)), 1)
    assert nearest.mean() == 0.0
    assert chance.mean() == pytest.approx(0.3 * scale.step, rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": 0.0, "clients": 4},
        {"clip": float("nan"), "clients": 4},
        {"clip": 1.0, "clients": 1},
        {"clip": 1.0, "clients": 4, "most_weight": 0},
        {"clip": 1.0, "clients": 1000, "most_weight": 100_000},
    ],
)
def test_a_scale_of_no_use_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        Scale(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "weight"), [(float("nan"), 1), (float("inf"), 1), (0.0, 0), (0.0, 11)])
def test_what_cannot_be_encoded_is_refused(value: float, weight: int) -> None:
    with pytest.raises(ValueError, match=r"finite|weight"):
        Scale(1.0, 4, most_weight=10).encode(np.array([value]), weight)


@pytest.mark.parametrize("last", [0, 3, 41])
def test_weights_that_the_clients_cannot_have_are_implausible(last: int) -> None:
    total = Scale(1.0, 4, most_weight=10).encode(np.zeros(2))
    total[-1] = last
    with pytest.raises(Aborted, match="weights"):
        Scale(1.0, 4, most_weight=10).decode(total, 4)


def test_a_value_that_the_clients_cannot_have_is_implausible() -> None:
    scale = Scale(1.0, 4)
    total = scale.encode(np.zeros(2)) + scale.encode(np.ones(2))
    total[0] = 2**31 - 1
    with pytest.raises(Aborted, match="larger"):
        scale.decode(total, 2)
