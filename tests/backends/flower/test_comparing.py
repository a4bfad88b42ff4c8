"""Flower's deployment engine, with its own programs and the proxy, decides what a plain loop does."""

import pytest

from tests.backends.comparing import differences

pytestmark = pytest.mark.backends


@pytest.mark.timeout(880)
def test_a_deployment_decides_what_a_plain_loop_does() -> None:
    assert differences("flower", "adapters.flower.deployed.conformance") == []
