import pytest
import torch
from scipy.stats import rankdata

from evaluation.comparison.defences.outlying import centred_ranks, first_component, robust_z
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.defences.tracer import Tracer, Track
from evaluation.comparison.interfaces import Received
from tests.evaluation.comparison.defences.cohorts import HONEST, honest, received


def test_a_level_is_tracked_as_the_textbook_does() -> None:
    track = Track(drift=0.5, noise=1.0)
    track.learn(7, torch.tensor([[2.0]]))
    assert track.surprise(7, torch.tensor([[5.0]])) == pytest.approx(3.0 / 2.5**0.5)
    track.learn(7, torch.tensor([[5.0]]))
    # Predicted variance 1.5, gain 0.6: the level moves by 1.8 and is left with a variance of 0.6.
    assert float(track.levels[7].mean) == pytest.approx(3.8)
    assert float(track.levels[7].variance) == pytest.approx(0.6)


def test_nobody_surprises_who_was_not_seen_before() -> None:
    assert Track().surprise(1, torch.tensor([[1e3]])) == 0.0


def after(tracer: Tracer, one: Received) -> torch.Tensor:
    return tracer(Rows.of(one), one).suspicion


def changed(turn: int) -> Received:
    """A round in which one home's adapter moves six times as far as it used to, the same way and with the same head."""
    sent = honest(turn)
    longer = {name: 6.0 * value if name.startswith("adapter") else value for name, value in sent[0].items()}
    return received({**sent, 0: longer}, turn)


def test_one_who_is_not_what_it_was_is_refused_by_whoever_knew_it_alone() -> None:
    fresh, knowing = Tracer(), Tracer()
    for turn in range(1, 6):
        after(knowing, received(honest(turn), turn))
    unknown, known = after(fresh, changed(6)) > fresh.threshold, after(knowing, changed(6)) > knowing.threshold
    assert not unknown[0]
    assert known[0]
    assert torch.equal(known[1:], unknown[1:])


def test_what_was_refused_teaches_the_track_nothing() -> None:
    tracer = Tracer()
    after(tracer, received(honest()))
    known = tracer.track.levels[0].mean.clone()
    turned = {name: -5.0 * value for name, value in honest(2)[0].items()}
    one = received({**honest(2), 0: turned}, 2)
    assert not bool(tracer(Rows.of(one), one).kept[0])
    assert torch.equal(tracer.track.levels[0].mean, known)


def test_ranks_are_scipys_with_ties_alike() -> None:
    rows = torch.tensor([[3.0, 0.0], [1.0, 0.0], [2.0, 5.0], [2.0, 0.0]])
    wanted = rankdata(rows.numpy(), axis=0) - 2.5
    assert centred_ranks(rows).tolist() == wanted.tolist()


def test_the_first_component_is_where_rows_lie_along_what_they_differ_by() -> None:
    rows = torch.tensor([[0.0, 1.0], [3.0, 1.0], [6.0, 1.0]], dtype=torch.float64)
    assert first_component(rows).abs().tolist() == pytest.approx([3.0, 0.0, 3.0], abs=1e-6)


def test_a_robust_score_is_in_standard_deviations_of_the_others() -> None:
    values = torch.tensor([-1.0, 0.0, 1.0, -1.0, 1.0, 0.0, 100.0], dtype=torch.float64)
    assert float(robust_z(values)[-1]) > 5.0
    assert float(robust_z(values)[:-1].max()) < 1.0
    assert robust_z(torch.ones(5, dtype=torch.float64)).tolist() == [0.0] * 5


def test_it_averages_those_whom_nobody_accuses_by_their_examples() -> None:
    updates = honest()
    one = Received(1, received(updates).state, updates, {device: device for device in range(HONEST)})
    outcome = Tracer()(Rows.of(one), one)
    weights = torch.arange(HONEST, dtype=torch.float64)
    assert outcome.vector is not None
    assert torch.allclose(outcome.vector, weights @ Rows.of(one).values / weights.sum())
