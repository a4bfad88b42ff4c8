import numpy as np
import torch
from flwr.server.strategy.aggregate import aggregate_krum

from adapters.aggregation.mixing import tolerated
from evaluation.comparison.defences.krum import krum_scores, multi_krum
from evaluation.comparison.defences.rows import Rows
from tests.evaluation.comparison.defences.cohorts import ATTACKER, attacked, common, honest, received, scaled


def test_scores_are_what_one_gets_by_hand() -> None:
    # Of five with one hostile, each has its two nearest: of 0 these are 1 and 2, so 1 + 4.
    places = torch.tensor([[0.0], [1.0], [2.0], [4.0], [9.0]], dtype=torch.float64)
    assert krum_scores(places, 1).tolist() == [5.0, 2.0, 5.0, 13.0, 74.0]


def test_the_mean_of_those_that_are_kept_is_flowers() -> None:
    for one in (attacked(scaled(common(), -3.0)), received(honest(seed=4))):
        rows = Rows.of(one)
        hostile = tolerated(len(rows.devices))
        results = [([row.numpy()], 1) for row in rows.values]
        wanted = aggregate_krum(results, hostile, len(rows.devices) - hostile)
        found = multi_krum(rows, one)
        assert found.vector is not None
        assert np.allclose(found.vector.numpy(), wanted[0])


def test_it_always_refuses_as_many_as_may_be_hostile() -> None:
    one = attacked(scaled(common(), -3.0))
    kept = multi_krum(Rows.of(one), one).kept.tolist()
    assert not kept[ATTACKER]
    assert kept.count(False) == tolerated(13) == 3
