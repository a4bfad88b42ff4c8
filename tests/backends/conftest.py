"""Backends in environments of their own: `make test-backends` makes these and runs what is marked so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.member import Member
from tests.support import ControlPlane, running

MARK = "backends"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: runs a backend in its own environment; only with `-m {MARK}`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked unless it was asked for: it takes minutes, and an environment that is made first."""
    if MARK in config.getoption("markexpr", ""):
        return
    for item in items:
        if item.get_closest_marker(MARK) is not None:
            item.add_marker(pytest.mark.skip(reason="in an environment of its own: make test-backends"))


@pytest.fixture
def own_plane() -> Iterator[ControlPlane]:
    """A control plane in which nobody has done anything yet."""
    with running() as found:
        yield found


@pytest.fixture
def enrol(own_plane: ControlPlane, tmp_path: Path) -> Callable[..., str]:
    """Enrols into a folder of the test's, by name, and returns the subject."""

    def enrolled(name: str, role: str = "trainer", segment: str = "homes") -> str:
        token = own_plane.token([role], segment)
        with Member.enrol(tmp_path / name, own_plane.url, token, roles=[role], segment=segment) as member:
            return member.id

    return enrolled
