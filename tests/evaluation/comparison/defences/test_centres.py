import numpy as np
import pytest
import torch
from flwr.server.strategy.aggregate import aggregate, aggregate_trimmed_avg

from evaluation.comparison.defences.centres import averaging, median_of_geometry, mixed_and_trimmed
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.interfaces import Received
from tests.evaluation.comparison.defences.cohorts import attacked, common, scaled


def points(*places: tuple[float, ...], examples: tuple[int, ...] | None = None) -> tuple[Rows, Received]:
    """Updates that are points of a plane."""
    state = {"point": torch.zeros(len(places[0]))}
    updates = {device: {"point": torch.tensor(place)} for device, place in enumerate(places)}
    counts = examples or (1,) * len(places)
    received = Received(1, state, updates, dict(enumerate(counts)))
    return Rows.of(received), received


def test_averaging_is_flowers() -> None:
    rows, received = points((1.0, 2.0), (3.0, 5.0), (-4.0, 0.5), examples=(1, 2, 5))
    wanted = aggregate([([row.numpy()], int(count)) for row, count in zip(rows.values, rows.examples, strict=True)])
    assert averaging(rows, received).vector.numpy() == pytest.approx(wanted[0])  # type: ignore[union-attr]


def test_who_claims_nothing_weighs_nothing_unless_nobody_claims_anything() -> None:
    rows, received = points((1.0,), (3.0,), examples=(0, 4))
    assert float(averaging(rows, received).vector) == pytest.approx(3.0)  # type: ignore[arg-type]
    rows, received = points((1.0,), (3.0,), examples=(0, 0))
    assert float(averaging(rows, received).vector) == pytest.approx(2.0)  # type: ignore[arg-type]


def test_no_place_nearby_has_a_smaller_sum_of_distances_than_the_geometric_median() -> None:
    rows, received = points((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.2), (40.0, 30.0))
    found = median_of_geometry(rows, received).vector
    assert found is not None
    least = (rows.values - found).norm(dim=1).sum()
    for angle in np.linspace(0.0, 6.0, 13):
        beside = found + 0.01 * torch.tensor([np.cos(angle), np.sin(angle)])
        assert (rows.values - beside).norm(dim=1).sum() > least


def test_mixing_and_trimming_is_what_one_gets_by_hand_and_by_flower() -> None:
    rows, received = points((0.0,), (1.0,), (2.0,), (3.0,), (100.0,))
    # One of five may be hostile: each becomes the mean of its four nearest, then the largest and the smallest go.
    mixed = [1.5, 1.5, 1.5, 1.5, 26.5]
    wanted = aggregate_trimmed_avg([([np.array([value])], 1) for value in mixed], 0.2)
    assert float(mixed_and_trimmed(rows, received).vector) == pytest.approx(float(wanted[0][0])) == 1.5  # type: ignore[arg-type]


def test_suspicion_is_the_distance_as_a_multiple_of_the_usual_one() -> None:
    one = attacked(scaled(common(), -3.0))
    rows = Rows.of(one)
    outcome = median_of_geometry(rows, one)
    assert outcome.vector is not None
    distances = (rows.values - outcome.vector).norm(dim=1)
    assert torch.allclose(outcome.suspicion, distances / distances.median())
