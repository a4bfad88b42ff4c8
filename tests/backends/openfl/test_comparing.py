"""OpenFL's aggregator and collaborators decide what a plain loop does."""

import pytest

from tests.backends.comparing import differences

pytestmark = pytest.mark.backends


@pytest.mark.timeout(880)
def test_a_federation_decides_what_a_plain_loop_does() -> None:
    assert differences("openfl", "adapters.openfl.conformance") == []
