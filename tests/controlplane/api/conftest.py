import itertools
from collections.abc import Callable

import pytest

from tests.support import Caller, ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def trainer(plane: ControlPlane) -> Caller:
    return plane.enrol("trainer")


@pytest.fixture(scope="session")
def consumer(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


@pytest.fixture(scope="session")
def aggregator(plane: ControlPlane) -> Caller:
    return plane.enrol("aggregator")


@pytest.fixture(scope="session")
def gateway(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@pytest.fixture(scope="session")
def operator(plane: ControlPlane) -> Caller:
    return plane.enrol("operator")


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Ids of rounds that no test used before."""
    return lambda: f"round-{next(_numbers)}"
