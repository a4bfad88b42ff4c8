import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from evaluation.comparison.attacks.harm import harmful
from evaluation.comparison.attacks.imitation import GraphAutoencoder, GraphImitation
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.attacks.vectors import flat, stacked
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

seeds = st.integers(0, 10_000)
FEW = settings(deadline=None, max_examples=10)


def known(seed: int, device: int = 0, count: int = 10) -> Knowledge:
    return Knowledge(device, 3, updates(count, seed), {}, [dict(enumerate(updates(5, seed + 1)))])


def sent(seed: int, attack: GraphImitation, device: int = 0) -> torch.Tensor:
    about = known(seed, device)
    return flat(attack.distort(about.honest[0], about)).double()


def mean_cosines(vector: torch.Tensor, rows: torch.Tensor) -> float:
    return float(cosine_similarity(rows, vector[None], dim=1).mean())


def least_central(rows: torch.Tensor) -> float:
    """The smallest mean cosine that a row has to the others."""
    return min(mean_cosines(row, torch.cat([rows[:place], rows[place + 1 :]])) for place, row in enumerate(rows))


@FEW
@given(seed=seeds, jitter=st.sampled_from([0.0, 0.1]))
def test_its_place_in_the_graph_is_one_that_an_honest_update_has(seed: int, jitter: float) -> None:
    honest = stacked(known(seed).honest).double()
    assert mean_cosines(sent(seed, GraphImitation(jitter=jitter)), honest) >= least_central(honest) - 0.03
    assert float(sent(seed, GraphImitation(jitter=jitter)).norm()) == pytest.approx(
        float(honest.norm(dim=1).median()), rel=1e-4
    )


@FEW
@given(seed=seeds)
def test_it_moves_the_model_less_onward_than_any_honest_update_does(seed: int) -> None:
    away, honest = harmful(known(seed)), stacked(known(seed).honest).double()
    assert float(sent(seed, GraphImitation(jitter=0.0)) @ away) > float((honest @ away).max())


@FEW
@given(seed=seeds)
def test_it_lies_in_what_the_decoder_can_yield(seed: int) -> None:
    learned = GraphAutoencoder.fit(stacked(known(seed).honest).double(), 8)
    vector = sent(seed, GraphImitation(jitter=0.0))
    assert len(learned.basis) <= 8
    assert torch.allclose(
        learned.basis @ learned.basis.T, torch.eye(len(learned.basis), dtype=torch.float64), atol=1e-8
    )
    assert float((learned.basis @ vector).norm()) == pytest.approx(float(vector.norm()), rel=1e-4)


def test_no_other_direction_of_the_decoder_with_that_cosine_goes_farther() -> None:
    learned = GraphAutoencoder.fit(stacked(known(5).honest).double(), 6)
    away = harmful(known(5))
    best = learned.generated(away, learned.least)
    generator = torch.Generator().manual_seed(0)
    mixtures = torch.randn(20_000, len(learned.basis), generator=generator, dtype=torch.float64)
    tried = torch.nn.functional.normalize(mixtures, dim=1) @ learned.basis
    allowed = tried[tried @ learned.centre >= learned.least]
    assert len(allowed) > 10
    assert float((allowed @ away).max()) <= float(best @ away) + 1e-9


def test_slack_is_harm_that_is_easier_to_see() -> None:
    away = harmful(known(2))
    assert float(sent(2, GraphImitation(slack=0.3)) @ away) > float(sent(2, GraphImitation()) @ away)


def test_colluders_differ_by_their_jitter_and_repeat_themselves() -> None:
    first, second = sent(1, GraphImitation(), 1), sent(1, GraphImitation(), 2)
    assert 0.97 < float(cosine_similarity(first, second, dim=0)) < 0.999
    assert torch.equal(first, sent(1, GraphImitation(), 1))


@pytest.mark.parametrize("count", [1, 2])
def test_few_honest_updates_are_enough_to_imitate_and_none_are_not(count: int) -> None:
    about = known(0, count=count)
    assert bool(flat(GraphImitation().distort(about.honest[0], about)).isfinite().all())
    assert GraphImitation().poison(SHARD) == SHARD
    with pytest.raises(ValueError, match="needs to know"):
        GraphImitation().distort(about.honest[0])


def test_where_nothing_was_learnt_it_sends_its_own() -> None:
    nothing = [{name: torch.zeros_like(value) for name, value in update.items()} for update in updates(4)]
    own = updates(1)[0]
    assert GraphImitation().distort(own, Knowledge(honest=nothing)) is own
