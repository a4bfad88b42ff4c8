import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from evaluation.comparison.attacks.harm import harmful
from evaluation.comparison.attacks.mimicry import Mimicry
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.attacks.vectors import flat, stacked
from evaluation.smart_home.training import Update
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

seeds = st.integers(0, 10_000)


def known(seed: int, first: bool = False) -> Knowledge:
    return Knowledge(0, 3, updates(8, seed), {}, [] if first else [dict(enumerate(updates(5, seed + 1)))])


def own(seed: int) -> Update:
    """What an attacker of this cohort trained honestly: one more of its updates."""
    return updates(9, seed)[8]


@settings(deadline=None, max_examples=20)
@given(seed=seeds, turn=st.sampled_from([0.3, 1.0]), first=st.booleans())
def test_norm_shares_and_cosines_to_the_mean_stay_those_of_its_own_training(
    seed: int, turn: float, first: bool
) -> None:
    trained, about = own(seed), known(seed, first)
    sent = Mimicry(turn).distort(trained, about)
    mean = stacked(about.honest).mean(0)
    assert cosine_similarity(flat(sent), mean, dim=0) == pytest.approx(
        float(cosine_similarity(flat(trained), mean, dim=0)), abs=1e-4
    )
    assert sent.keys() == trained.keys()
    for name, value in sent.items():
        middle = torch.stack([update[name] for update in about.honest]).mean(0).reshape(-1)
        assert value.shape == trained[name].shape
        assert value.dtype == trained[name].dtype
        assert float(value.norm()) == pytest.approx(float(trained[name].norm()), rel=1e-4)
        assert float(value.reshape(-1) @ middle) == pytest.approx(float(trained[name].reshape(-1) @ middle), abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_the_farther_it_turns_the_more_harm_it_does(seed: int) -> None:
    away = harmful(known(seed))
    harm = [float(flat(Mimicry(turn).distort(own(seed), known(seed))).double() @ away) for turn in (0.0, 0.5, 1.0)]
    assert harm == sorted(harm)
    assert harm[2] > harm[0] + 0.1


def test_without_a_turn_it_is_honest() -> None:
    assert torch.allclose(flat(Mimicry(0.0).distort(own(1), known(1))), flat(own(1)), atol=1e-5)


def test_in_a_first_round_what_it_found_beside_the_mean_is_turned_around() -> None:
    about = known(4, first=True)
    trained, mean = own(4), {name: torch.stack([update[name] for update in about.honest]).mean(0) for name in own(4)}
    sent = Mimicry().distort(trained, about)
    for name, middle in mean.items():
        axis = torch.nn.functional.normalize(middle.reshape(-1), dim=0)
        before, after = trained[name].reshape(-1), sent[name].reshape(-1)
        assert torch.allclose(before + after, 2.0 * (before @ axis) * axis, atol=1e-4)


def test_nothing_stays_nothing_and_none_others_are_an_error() -> None:
    nothing = {name: torch.zeros_like(value) for name, value in own(0).items()}
    assert not bool(flat(Mimicry().distort(nothing, known(0))).any())
    assert Mimicry().poison(SHARD) == SHARD
    with pytest.raises(ValueError, match="needs to know"):
        Mimicry().distort(own(0))
