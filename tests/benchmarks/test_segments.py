"""A few grants in force, start to end; how fast thousands are, `benchmarks/` says."""

import pytest

from benchmarks.segments import summary
from tests.servers.namespaces import NoNamespaces, nodes


def test_every_grant_is_in_force_and_compared() -> None:
    try:
        with nodes("router") as [router]:
            found = router.call(summary, 50, 1)
            assert router.run("nft", "list", "set", "inet", "ztfm", "grants4").count("10.10.0.20") == 0
    except NoNamespaces as missing:
        pytest.skip(str(missing))
    assert found["grants"] == 50
    assert found["parts_seconds"][found["by"]]["cut"] > 0.0
