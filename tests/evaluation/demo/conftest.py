from collections.abc import Iterator

import pytest

from tests.evaluation.demo.processes import STARTED


@pytest.fixture(autouse=True, scope="module")
def nothing_left() -> Iterator[None]:
    """End what a test that failed has left running; what belongs to a run ends with it."""
    before = len(STARTED)
    yield
    for process in STARTED[before:]:
        if process.poll() is None:
            process.kill()
            process.wait()
