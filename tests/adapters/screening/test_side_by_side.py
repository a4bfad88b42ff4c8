"""Work on many things keeps their order and holds few of them."""

import threading
from collections.abc import Iterator

import pytest
import torch

from adapters.screening.side_by_side import side_by_side


def test_results_come_in_order() -> None:
    assert list(side_by_side(lambda number: number * number, range(50))) == [number * number for number in range(50)]
    assert list(side_by_side(str, [])) == []


def test_no_more_things_are_taken_than_there_are_threads_and_one() -> None:
    taken, done = 0, 0
    most = 0
    lock = threading.Lock()

    def things() -> Iterator[int]:
        nonlocal taken, most
        for number in range(100):
            with lock:
                taken += 1
                most = max(most, taken - done)
            yield number

    def work(number: int) -> int:
        nonlocal done
        with lock:
            done += 1
        return number

    for _ in side_by_side(work, things()):
        pass
    assert most <= torch.get_num_threads() + 2


def test_a_fault_is_raised() -> None:
    def work(number: int) -> int:
        raise OSError(number)

    with pytest.raises(OSError, match="0"):
        list(side_by_side(work, range(3)))
