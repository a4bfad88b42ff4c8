"""What all tests share."""

from collections.abc import Iterator

import pytest

from tests.support import ControlPlane, running


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """A control plane for the whole session; callers are not slowed down by rate limits."""
    with running() as found:
        yield found
