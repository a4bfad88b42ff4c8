import pytest
import torch

from evaluation.comparison.defences.flame import Flame, cosine_distances, majority
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.interfaces import Received

QUIET = Flame(noise=0.0)


def angles(*degrees: float, length: float = 1.0) -> Received:
    """Updates of a plane by their directions."""
    places = torch.deg2rad(torch.tensor(degrees))
    updates = {device: {"point": length * torch.stack([at.cos(), at.sin()])} for device, at in enumerate(places)}
    return Received(1, {"point": torch.zeros(2)}, updates, {})


def test_the_cluster_that_holds_more_than_half_is_kept_and_the_rest_refused() -> None:
    one = angles(0.0, 1.0, 2.0, 3.0, 4.0, 90.0, 91.0, 92.0)
    outcome = QUIET(Rows.of(one), one)
    assert outcome.kept.tolist()[5:] == [False] * 3
    assert sum(outcome.kept.tolist()[:5]) >= 4
    assert outcome.suspicion[5:].min() > 10.0 * outcome.suspicion[:5].max()


def test_cosine_distances_are_those_of_the_angles() -> None:
    distances = cosine_distances(Rows.of(angles(0.0, 60.0, 180.0, length=3.0)).values)
    wanted = [[0.0, 0.5, 2.0], [0.5, 0.0, 1.5], [2.0, 1.5, 0.0]]
    assert torch.allclose(distances, torch.tensor(wanted, dtype=torch.float64), atol=1e-6)


def test_without_a_majority_nobody_is_refused() -> None:
    distances = cosine_distances(torch.eye(6, dtype=torch.float64))
    assert bool(majority(distances).all())


def test_what_is_kept_is_clipped_to_the_median_norm_and_averaged() -> None:
    updates = {
        device: {"point": torch.tensor([length, 0.0])} for device, length in enumerate((1.0, 2.0, 3.0, 4.0, 90.0))
    }
    one = Received(1, {"point": torch.zeros(2)}, updates, {})
    outcome = QUIET(Rows.of(one), one)
    kept = outcome.kept
    clipped = torch.tensor([1.0, 2.0, 3.0, 3.0, 3.0], dtype=torch.float64)
    assert outcome.vector is not None
    assert outcome.vector.tolist() == pytest.approx([float(clipped[kept].mean()), 0.0])


def test_noise_has_the_deviation_that_was_asked_for_and_the_seed_and_the_round_repeat_it() -> None:
    updates = {device: {"point": torch.ones(10_000)} for device in range(4)}
    first, later = (Received(turn, {"point": torch.zeros(10_000)}, updates, {}) for turn in (1, 2))
    rows = Rows.of(first)
    noisy = [Flame(noise=0.01, seed=3)(rows, one).vector for one in (first, first, later)]
    assert all(vector is not None for vector in noisy)
    deviation = float((noisy[0] - 1.0).std())  # type: ignore[operator]
    assert deviation == pytest.approx(0.01 * 100.0, rel=0.05)
    assert torch.equal(noisy[0], noisy[1])  # type: ignore[arg-type]
    assert not torch.equal(noisy[0], noisy[2])  # type: ignore[arg-type]
