"""Who attacks."""

from itertools import pairwise

import pytest

from evaluation.comparison.fleet import hostile_devices
from evaluation.smart_home.task import Task


def test_a_larger_share_takes_in_a_smaller_ones() -> None:
    shares = [set(hostile_devices(3, 20, share)) for share in (0.0, 0.1, 0.2, 0.4, 1.0)]
    assert [len(found) for found in shares] == [0, 2, 4, 8, 20]
    assert all(small < large for small, large in pairwise(shares))


def test_a_fifth_of_the_homes_are_the_demos(task: Task) -> None:
    assert set(hostile_devices(task.seed, task.devices, 0.2)) == set(task.attacks)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_no_such_share_is_said(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        hostile_devices(0, 20, share)
