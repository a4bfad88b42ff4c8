import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.smart_home.attacks import Attack, InnerProduct, Knowledge, LittleIsEnough, MinMax
from evaluation.smart_home.attacks.omniscient import Direction, largest_step
from evaluation.smart_home.attacks.vectors import flat, stacked
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

ATTACKS: list[Attack] = [InnerProduct(1.0), LittleIsEnough(1.5), MinMax("unit")]
seeds = st.integers(0, 10_000)
directions = st.sampled_from(["unit", "std", "sign"])


def sent(attack: Attack, seed: int = 0, device: int = 0, count: int = 8) -> torch.Tensor:
    honest = updates(count, seed)
    return flat(attack.distort(honest[0], Knowledge(device=device, honest=honest)))


def spread(honest: torch.Tensor) -> float:
    return float(torch.cdist(honest.double(), honest.double()).max())


def farthest(vector: torch.Tensor, honest: torch.Tensor) -> float:
    return float((honest.double() - vector.double()).norm(dim=1).max())


@settings(deadline=None, max_examples=25)
@given(seed=seeds, scale=st.floats(0.1, 10.0))
def test_the_inner_product_with_the_honest_mean_is_negative_and_as_long_as_asked(seed: int, scale: float) -> None:
    mean = stacked(updates(8, seed)).mean(0)
    vector = sent(InnerProduct(scale), seed)
    assert float(vector @ mean) < 0.0
    assert float(vector.norm()) == pytest.approx(scale * float(mean.norm()), rel=1e-4)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, deviations=st.floats(0.1, 4.0))
def test_a_little_is_so_many_standard_deviations_against_the_mean_in_every_coordinate(
    seed: int, deviations: float
) -> None:
    honest = stacked(updates(8, seed))
    mean, spread = honest.mean(0), honest.std(0, correction=0)
    off = (mean - sent(LittleIsEnough(deviations), seed)) / (spread * mean.sign())
    assert torch.allclose(off, torch.full_like(off, deviations), rtol=1e-2)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, direction=directions)
def test_min_max_is_as_far_off_as_honest_devices_are_from_one_another_and_no_farther(
    seed: int, direction: Direction
) -> None:
    honest = stacked(updates(8, seed))
    assert farthest(sent(MinMax(direction), seed), honest) == pytest.approx(spread(honest), rel=1e-3)
    assert farthest(sent(MinMax(direction, reach=1.2), seed), honest) > spread(honest)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, direction=directions)
def test_min_max_goes_against_what_its_direction_names(seed: int, direction: Direction) -> None:
    honest = stacked(updates(8, seed))
    step = sent(MinMax(direction), seed) - honest.mean(0)
    against = honest.std(0, correction=0) if direction == "std" else honest.mean(0)
    assert float(step @ against) < 0.0


def test_the_largest_step_is_where_the_first_distance_is_reached() -> None:
    honest = torch.tensor([[0.0], [4.0]])
    assert largest_step(honest, torch.tensor([1.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("attack", ATTACKS)
def test_all_colluders_send_the_same_unless_they_are_told_to_jitter(attack: Attack) -> None:
    assert torch.equal(sent(attack, device=1), sent(attack, device=2))
    jittering = type(attack)(**{**vars(attack), "jitter": 0.5})
    first, second = sent(jittering, device=1), sent(jittering, device=2)
    assert 0.6 < float(torch.nn.functional.cosine_similarity(first, second, dim=0)) < 0.95
    assert torch.equal(first, sent(jittering, device=1))


@pytest.mark.parametrize("attack", ATTACKS)
def test_they_train_as_honest_devices_do_and_are_nothing_without_them(attack: Attack) -> None:
    assert attack.poison(SHARD) == SHARD
    with pytest.raises(ValueError, match="needs to know"):
        attack.distort(updates(1)[0])
