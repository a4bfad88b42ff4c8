import os
import socket
import subprocess

import pytest

from tests.servers.namespaces import NoNamespaces, ensure_namespaces, nodes


def rules_here() -> str:
    """The ruleset of the network that tests run in."""
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def test_nodes_reach_each_other_through_their_router_alone_and_nothing_outside_sees_them() -> None:
    try:
        ensure_namespaces()
    except NoNamespaces as missing:
        pytest.skip(str(missing))
    drop = "type filter hook forward priority 0; policy drop;"
    with nodes("router", "one", "other") as [router, one, other]:
        router.join(one, "10.1.0.1", "10.1.0.2")
        router.join(other, "10.2.0.1", "10.2.0.2")
        with other.listen(80):
            assert not one.reaches("10.2.0.2", 80), "a router that forwards nothing"
            router.settings(ipv4__ip_forward=1)
            assert one.reaches("10.2.0.2", 80, seconds=3.0)
            router.run("nft", f"add table inet ztfm_own; add chain inet ztfm_own f {{ {drop} }}")
            assert not one.reaches("10.2.0.2", 80)
        assert "ztfm_own" not in rules_here()
        assert not {name for _, name in socket.if_nameindex()} & {"to0", "to1", "up0"}
        with pytest.raises(RuntimeError, match="one: nft no-such-word: "):
            one.run("nft", "no-such-word")


def test_without_root_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoNamespaces, match="need Linux and root"):
        ensure_namespaces()
