"""The device that fares worst."""

import pytest
import torch

from evaluation.comparison.clients import worst_by_group, worst_by_mix


def test_the_worst_owner_is_found() -> None:
    is_right = torch.tensor([True, True, False, True, False, False])
    assert worst_by_group(is_right, [0, 0, 1, 1, 1, 2]) == 0.0
    assert worst_by_group(is_right[:5], [0, 0, 1, 1, 1]) == pytest.approx(1 / 3)


def test_a_device_fares_as_its_classes_do() -> None:
    is_right = torch.tensor([True, True, True, False])
    labels = [0, 0, 1, 1]
    assert worst_by_mix(is_right, labels, [[0, 0], [0, 0, 0, 1]]) == pytest.approx(0.875)
    assert worst_by_mix(is_right, labels, [[0], [1]]) == pytest.approx(0.5)


def test_a_class_that_is_not_tested_is_no_right_answer() -> None:
    with pytest.raises(KeyError):
        worst_by_mix(torch.tensor([True]), [0], [[0, 2]])
