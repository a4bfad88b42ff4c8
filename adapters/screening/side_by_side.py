"""The same work on many things, on all cores, with few of them in memory.

It is for work that leaves the interpreter for long, as hashing, loading and reading some updates together do. Work
that consists of many short calls is slower on two threads than on one: they wait for one another at each.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many threads work: as many as torch uses."""
    return max(1, torch.get_num_threads())


def side_by_side(work: Callable[[Thing], Result], things: Iterable[Thing]) -> Iterator[Result]:
    """Yield ``work(thing)`` of each thing, in order, on `threads`.

    Things are taken one at a time, as workers become free: of a stream of files no more are open than there are
    threads, and one.
    """
    workers = threads()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for thing in things:
            waiting.append(pool.submit(work, thing))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
