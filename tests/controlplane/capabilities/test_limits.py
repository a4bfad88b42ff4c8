import math

import pytest

from controlplane.capabilities.limits import exceeded
from controlplane.contracts.capability import Constraints
from tests.controlplane.capabilities.conftest import World

LIMITS = Constraints(max_bytes=100, max_norm=2.0)


@pytest.mark.parametrize(
    ("size", "norm", "cause"),
    [
        (100, 2.0, ""),
        (0, 0.0, ""),
        (None, None, ""),
        (101, None, "too_large"),
        (None, 2.0000001, "norm_exceeded"),
        (101, 3.0, "too_large"),
        (None, math.nan, "norm_exceeded"),
        (None, math.inf, "norm_exceeded"),
    ],
)
def test_what_is_beyond_a_limit_is_refused(size: int | None, norm: float | None, cause: str) -> None:
    assert getattr(exceeded(LIMITS, size_bytes=size, norm=norm), "cause", "") == cause


def test_a_limit_that_is_not_set_bounds_nothing() -> None:
    assert exceeded(Constraints(), size_bytes=2**60, norm=1e300) is None


def test_a_point_that_names_a_segment_takes_only_capabilities_for_it(world: World) -> None:
    homes, none = world.mint(segment="homes")[0], world.mint()[0]
    assert world.cause(homes, segment="homes") == ""
    assert world.cause(homes) == ""
    assert world.cause(homes, segment="core") == "wrong_segment"
    assert world.cause(none, segment="core") == "wrong_segment"
    assert world.cause(none) == ""
