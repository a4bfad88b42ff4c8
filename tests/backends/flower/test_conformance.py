"""The conformance kit on a deployment of Flower, with the proxy: cases of three points of a round. All of them:

ztfm adapter check adapters.flower.deployed.conformance --python build/backends/flower/bin/python
"""

import pytest

from tests.backends.kit import held, kept

pytestmark = pytest.mark.backends

KEPT_OUT = ("stranger", "quarantined", "impostor", "borrowed-pull")
REFUSED = ("tampered", "borrowed-submission", "wrong-type", "replayed-submission")
GONE = ("failing", "revoked-meanwhile")


@pytest.mark.timeout(480)
def test_nodes_behind_the_proxy_are_let_in_judged_and_left_out_as_everywhere() -> None:
    found = kept("flower", "adapters.flower.deployed.conformance", *KEPT_OUT, *REFUSED, *GONE, seconds=470)
    assert found == held(*KEPT_OUT, *REFUSED, *GONE)
