"""What leaves a device was clipped, lies on a grid, and bears noise of the size that was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from adapters.jobs.tensorfile import UnfitFileError
from adapters.privacy import Noise, clip_and_noise, drawn, noised_file, noised_mean
from adapters.privacy.clipping import clipping, norm_of
from adapters.privacy.grids import Grid
from adapters.privacy.tables import TAIL, cumulative, reach
from controlplane.contracts.privacy import PrivacyTerms

COUNT = 20_000


def terms(clip_norm: float = 1.0, noise_multiplier: float = 2.0, delta: float = 1e-6) -> PrivacyTerms:
    return PrivacyTerms(
        mode="local", data_set="homes", clip_norm=clip_norm, noise_multiplier=noise_multiplier, delta=delta
    )


def test_noise_has_the_mean_spread_and_tails_of_a_gaussian() -> None:
    deviation = 1234.5
    found = Noise.of_test(1).gaussian(deviation, COUNT) / deviation
    assert abs(found.mean()) < 5 / COUNT**0.5
    assert found.std() == pytest.approx(1.0, abs=5 / (2 * COUNT) ** 0.5)
    for quantile, share in ((-1.2816, 0.1), (-0.6745, 0.25), (0.0, 0.5), (0.6745, 0.75), (1.6449, 0.95)):
        assert (found <= quantile).mean() == pytest.approx(share, abs=5 * (share * (1 - share) / COUNT) ** 0.5)
    assert (found**4).mean() == pytest.approx(3.0, abs=0.35)
    assert np.abs(found).max() < 6.0


def test_neighbouring_values_and_draws_have_nothing_to_do_with_one_another() -> None:
    found = Noise.of_test(2).gaussian(1024.0, COUNT).astype(float)
    again = Noise.of_test(3).gaussian(1024.0, COUNT).astype(float)
    for first, second in ((found[1:], found[:-1]), (found, again)):
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / COUNT**0.5


def test_the_table_is_the_discrete_gaussian_to_the_last_bit() -> None:
    deviation = 3.0
    upper, lower = (part.astype(object) for part in cumulative(deviation))
    ends = np.concatenate([[0], upper * 2**64 + lower, [2**128]])
    shares = np.diff(ends).astype(float) / 2.0**128
    values = np.arange(-reach(deviation), reach(deviation) + 1)
    expected = np.exp(-(values**2) / (2 * deviation**2))
    assert np.abs(shares - expected / expected.sum()).max() < 1e-15
    assert len(values) == 2 * TAIL * 3 + 1
    # Far out as well, where 64 bits know of nothing any more.
    far = expected / expected.sum() < 2.0**-64
    assert far.any()
    assert shares[far] == pytest.approx(expected[far] / expected.sum(), rel=1e-4)


class Words(Noise):
    """A keystream of words that a test chose."""

    def __init__(self, *words: int) -> None:
        super().__init__()
        self.left = list(words)

    def words(self, count: int) -> np.ndarray:
        taken, self.left = self.left[:count], self.left[count:]
        return np.array(taken, dtype=np.uint64)


def test_where_64_bits_do_not_tell_on_which_side_of_an_end_a_draw_lies_64_more_do() -> None:
    deviation = 3.0
    upper, lower = ([int(one) for one in part] for part in cumulative(deviation))
    middle = len(upper) // 2
    for place in (middle - 2, middle, middle + 5):
        for rest, value in ((lower[place] - 1, place), (lower[place], place + 1), (lower[place] + 1, place + 1)):
            assert Words(upper[place], rest).gaussian(deviation, 1).tolist() == [value - reach(deviation)]
    # Nearly all words need no more: one draw is one word.
    assert Words(upper[middle] + 1, 1).gaussian(deviation, 1).tolist() == [middle + 1 - reach(deviation)]
    # The first 64 bits are all alike for many values far out.
    crowd = [place for place in range(len(upper)) if upper[place] == 0]
    assert len(crowd) > 1
    drawn_there = [Words(0, lower[place]).gaussian(deviation, 1)[0] for place in crowd]
    assert drawn_there == [place + 1 - reach(deviation) for place in crowd]


def test_devices_noise_differs_each_time_and_a_tests_does_not() -> None:
    assert not np.array_equal(Noise().words(64), Noise().words(64))
    assert np.array_equal(Noise.of_test(7).words(64), Noise.of_test(7).words(64))
    with pytest.raises(ValueError, match="32 bytes"):
        Noise(b"short")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40),
    st.floats(1e-3, 1e3),
    st.floats(0.01, 100.0),
)
def test_before_noise_is_added_the_norm_is_at_most_what_is_clipped_to(
    values: list[float], clip_norm: float, noise_multiplier: float
) -> None:
    asked = terms(clip_norm, noise_multiplier)
    array = np.array(values, dtype=np.float32)
    noised = clip_and_noise({"w": array.astype(np.float64)}, asked, Noise.of_test(1))["w"]
    grid = Grid.of(asked)
    bare = np.asarray(noised) - Noise.of_test(1).gaussian(grid.deviation, len(values)) * grid.step
    assert float(np.linalg.norm(bare)) <= clip_norm
    # It is no shorter than a step in each value makes it.
    assert float(np.linalg.norm(bare)) >= min(float(np.linalg.norm(array)), clip_norm) * 0.999 - grid.step * len(values)


def test_everything_lies_on_one_grid_whatever_the_update_was() -> None:
    asked = terms(1.0, 3.0)
    step = Grid.of(asked).step
    for update in (np.zeros(500), np.linspace(-1, 1, 500), np.full(500, 1e-9)):
        found = np.asarray(clip_and_noise({"w": update}, asked)["w"])
        assert np.array_equal(np.round(found / step) * step, found)
    assert 1024 <= 3.0 / step < 2048


def test_the_clip_is_of_all_tensors_together_and_not_of_each() -> None:
    update = {"a": np.full(50, 3.0), "b": np.full((5, 10), 4.0)}
    found = clip_and_noise(update, terms(1.0, 0.01), Noise.of_test(1))
    clipped = norm_of({name: np.asarray(value) for name, value in found.items()})
    assert clipped == pytest.approx(1.0, abs=0.2)
    assert np.asarray(found["b"]).mean() / np.asarray(found["a"]).mean() == pytest.approx(4 / 3, abs=0.1)
    assert np.asarray(found["b"]).shape == (5, 10)


def test_tensors_and_arrays_come_back_as_what_they_were() -> None:
    update: dict[str, torch.Tensor | np.ndarray] = {
        "f": torch.linspace(-1, 1, 64).reshape(8, 8),
        "b": torch.ones(16, dtype=torch.bfloat16),
        "h": np.ones(16, dtype=np.float16),
    }
    found = clip_and_noise(update, terms(), Noise.of_test(1))
    assert sorted(found) == ["b", "f", "h"]
    for name, value in update.items():
        assert type(found[name]) is type(value)
        assert found[name].dtype == value.dtype  # type: ignore[attr-defined]
        assert tuple(found[name].shape) == tuple(value.shape)  # type: ignore[attr-defined]
    same = clip_and_noise({"f": np.asarray(update["f"])}, terms(), Noise.of_test(1))["f"]
    alone = clip_and_noise({"f": update["f"]}, terms(), Noise.of_test(1))["f"]
    assert np.array_equal(np.asarray(same), np.asarray(alone))


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"w": np.array([1.0, np.nan])},
        {"w": np.array([np.inf])},
        {"w": torch.ones(3, dtype=torch.int64)},
        {"w": np.ones(3), "n": np.arange(3)},
        {"w": "text"},
    ],
)
def test_what_cannot_be_clipped_is_not_noised(update: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"noised|clipped"):
        clip_and_noise(update, terms())


def test_more_values_than_noise_is_exact_for_are_refused() -> None:
    with pytest.raises(ValueError, match="more than noise is exact for"):
        clip_and_noise({"w": np.ones(1000)}, terms(delta=1e-19))
    # A delta that holds for very many updates does not hold for one alone.
    Grid.of(terms()).require_exact(10**12, terms())
    with pytest.raises(ValueError, match="more than noise is exact for"):
        Grid.of(terms()).require_exact(10**15, terms())


@pytest.mark.parametrize("noise_multiplier", [1e-12, 1e-17, 1e-300])
def test_noise_that_whole_numbers_of_steps_cannot_hold_is_refused(noise_multiplier: float) -> None:
    with pytest.raises(ValueError, match="noise of such a size"):
        clip_and_noise({"w": np.ones(3)}, terms(noise_multiplier=noise_multiplier))


def test_a_plan_that_was_charged_for_a_few_noises_nothing_that_was_made_from_all(tmp_path: Path) -> None:
    asked = terms().model_copy(update={"sampling": 0.25})
    summed = asked.model_copy(update={"mode": "central"})
    update, path = {"w": np.ones(3, dtype=np.float32)}, tmp_path / "update.safetensors"
    save_file(update, path)
    for said in (None, 0.5, 0.0, float("nan")):
        with pytest.raises(ValueError, match="were drawn with probability"):
            clip_and_noise(update, asked, sampled=said)
        with pytest.raises(UnfitFileError, match="were drawn with probability"):
            noised_file(path, tmp_path / "noised", asked, sampled=said)
        with pytest.raises(ValueError, match="were drawn with probability"):
            noised_mean([update], summed, sampled=said, expected=4.0)
    assert not (tmp_path / "noised").exists()
    clip_and_noise(update, asked, sampled=0.25)
    noised_file(path, tmp_path / "noised", asked, sampled=0.2)


def test_a_sum_of_devices_that_were_drawn_does_not_say_how_many_they_were() -> None:
    asked = terms().model_copy(update={"mode": "central", "sampling": 0.25})
    with pytest.raises(ValueError, match="how many are expected"):
        noised_mean([{"w": np.ones(3)}], asked, sampled=0.25)
    few, many = (
        noised_mean([{"w": np.zeros(8)}] * count, asked, Noise.of_test(1), sampled=0.25, expected=10.0)["w"]
        for count in (1, 7)
    )
    assert np.array_equal(few, many)


def test_a_norm_that_is_summed_a_little_short_lets_nothing_past_the_clip() -> None:
    values = 10**6
    off = 1.0 + values * 2.0**-53
    assert clipping(1.0, 1.0) * 1.0 * off <= 1.0
    assert clipping(1.0 - 2.0**-30, 1.0) * off <= 1.0
    assert clipping(1e6, 1.0) * 1e6 * off <= 1.0


def test_an_update_that_is_short_enough_is_not_scaled() -> None:
    assert clipping(0.0, 1.0) == clipping(0.5, 1.0) == 1.0
    assert clipping(4.0, 1.0) == pytest.approx(0.25)


def test_what_is_drawn_is_drawn_by_a_coin_each() -> None:
    found = drawn(COUNT, 0.25, Noise.of_test(4))
    assert found.mean() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / COUNT) ** 0.5)
    assert drawn(5, None).all()
    assert drawn(5, 1.0).all()


def test_the_mean_of_a_round_bears_noise_once() -> None:
    updates = [{"w": np.full(COUNT, 1.0)} for _ in range(10)]
    asked = PrivacyTerms(mode="central", data_set="homes", clip_norm=1.0, noise_multiplier=5.0, delta=1e-6)
    found = noised_mean(updates, asked, Noise.of_test(5))["w"]
    assert found.std() == pytest.approx(0.5, rel=0.05)
    assert found.mean() == pytest.approx(1.0 / COUNT**0.5, abs=5 * 0.5 / COUNT**0.5)


def test_one_update_moves_the_sum_by_what_is_clipped_to_at_most() -> None:
    asked = PrivacyTerms(mode="central", data_set="homes", clip_norm=1.0, noise_multiplier=5.0, delta=1e-6)
    honest = [{"w": torch.full((100,), 0.01)} for _ in range(3)]
    without = noised_mean([*honest, {"w": torch.zeros(100)}], asked, Noise.of_test(6))["w"]
    hostile = noised_mean([*honest, {"w": torch.full((100,), 1e9)}], asked, Noise.of_test(6))["w"]
    assert float(np.linalg.norm(hostile - without)) * 4 <= 1.0


@pytest.mark.parametrize("other", [{"v": np.ones(3)}, {"w": np.ones(4)}, {"w": np.array([1.0, 2.0, np.nan])}])
def test_updates_that_do_not_fit_have_no_mean(other: dict[str, object]) -> None:
    asked = PrivacyTerms(mode="central", data_set="homes", clip_norm=1.0, noise_multiplier=5.0, delta=1e-6)
    with pytest.raises(ValueError, match=r"other tensors|not finite"):
        noised_mean([{"w": np.ones(3)}, other], asked)
    with pytest.raises(ValueError, match="no update"):
        noised_mean([], asked)
