"""The conformance kit on a server and sites that are processes: cases of three points of a round. All of them:

ztfm adapter check adapters.nvflare.deployed --python build/backends/nvflare/bin/python       processes, some minutes
ztfm adapter check adapters.nvflare.conformance --python build/backends/nvflare/bin/python    the simulator, longer
"""

import pytest

from tests.backends.kit import held, kept_in_one_job

pytestmark = pytest.mark.backends

AT_ONCE = ("borrowed-pull", "stolen-pull", "garbage-introduction")
DYING = ("dying", "failing", "revoked-meanwhile")


@pytest.mark.timeout(480)
def test_sites_that_are_processes_show_nothing_that_is_not_theirs_and_none_of_them_can_end_the_job() -> None:
    found = kept_in_one_job("nvflare", "adapters.nvflare.deployed", *AT_ONCE, *DYING)
    assert found == held(*AT_ONCE, *DYING)
