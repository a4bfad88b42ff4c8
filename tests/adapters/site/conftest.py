"""Members at a real control plane, some of them part of a site."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from adapters.member import Member
from tests.adapters.site.houses import built, furnish, house_of, signed
from tests.support import SEGMENTS, ControlPlane

Enrol = Callable[..., Member]


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The example's policy for a house that is open all day."""
    return signed(built(tmp_path_factory.mktemp("house"), house_of()))


@pytest.fixture
def enrolled(plane: ControlPlane, tmp_path: Path) -> Iterator[Enrol]:
    """Enrols a member with a folder of its own; with ``policy`` it is part of a site that has that one."""
    numbers = count()
    with ExitStack() as stack:

        def enrol(policy: bytes | None = None, role: str = "trainer", folder: Path | None = None) -> Member:
            place = folder or tmp_path / f"member-{next(numbers)}"
            if policy is not None:
                furnish(place, policy)
            member = Member.enrol(
                place, plane.url, plane.token((role,), SEGMENTS[role]), roles=(role,), segment=SEGMENTS[role]
            )
            return stack.enter_context(member)

        yield enrol
