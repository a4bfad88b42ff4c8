"""NVFLARE's simulator, and its server and sites as processes, decide what a plain loop does."""

import pytest

from tests.backends.comparing import differences

pytestmark = pytest.mark.backends


@pytest.mark.timeout(880)
def test_simulator_and_processes_decide_what_a_plain_loop_does() -> None:
    assert differences("nvflare", "adapters.nvflare.conformance", "adapters.nvflare.deployed") == []
