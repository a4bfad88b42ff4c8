"""The frozen vectors of the demo's sentences: computed once."""

from pathlib import Path

import pytest

from evaluation.guarantee.fleet import Data, embedded
from evaluation.smart_home.task import Task


@pytest.fixture(scope="session")
def data(task: Task) -> Data:
    return embedded(task)


@pytest.fixture(scope="session")
def cache(task: Task) -> Path:
    """Where the task's trunk lies, so that the command need not compute it again."""
    assert task.trunk._cache is not None
    return task.trunk._cache
