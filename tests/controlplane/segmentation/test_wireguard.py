import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.segmentation.wireguard import NotWireGuard, Peers, changes, file_of, peers_of, read_dump, read_file
from tests.controlplane.segmentation.tables import CAMERA, NOW, OTHER_CAMERA, ROBOT, cut, grant, table
from tests.servers.namespaces import Node, NoNamespaces, nodes
from tests.servers.wireguard import WireGuardMissing, wireguard_interface

KEYS = [base64.b64encode(bytes([n]) * 32).decode() for n in range(1, 6)]
SIX = "fd00:1::7"
INTERFACE = f"zt{os.getpid() % 10**8}"

ADDRESSES = (CAMERA, OTHER_CAMERA, ROBOT, SIX, "fd00::2", "fd00::3")


def shared_out(owners: list[str | None]) -> Peers:
    held = {key: frozenset(a for a, owner in zip(ADDRESSES, owners, strict=True) if owner == key) for key in KEYS}
    return Peers({key: addresses for key, addresses in held.items() if addresses})


peers = st.lists(st.none() | st.sampled_from(KEYS), min_size=6, max_size=6).map(shared_out)
"""Every address is with one peer at most, and every peer has one."""


@pytest.fixture(scope="module")
def router() -> Iterator[Node]:
    try:
        with nodes("router") as [node], wireguard_interface(node, INTERFACE):
            yield node
    except (NoNamespaces, WireGuardMissing) as missing:
        pytest.skip(str(missing))


def test_a_device_has_a_tunnel_while_it_holds_a_grant_and_has_a_key() -> None:
    given_table = table(
        [
            grant(1, CAMERA, "gateway", wireguard=KEYS[0], seconds=90),
            grant(1, CAMERA, "aggregator", wireguard=KEYS[0], seconds=60),
            grant(1, SIX, "aggregator", wireguard=KEYS[0]),
            grant(2, OTHER_CAMERA, "gateway", wireguard=KEYS[1], seconds=0),
            grant(3, ROBOT, "gateway"),
        ]
    )
    assert peers_of(given_table, NOW) == Peers({KEYS[0]: frozenset({CAMERA, SIX})}, NOW + 90)


def test_a_device_that_is_cut_off_has_none() -> None:
    assert peers_of(table([grant(1, CAMERA, "gateway", wireguard=KEYS[0])], [cut(1, "10.0.1.99")]), NOW) == Peers()


def test_an_address_that_two_keys_claim_is_nobodys() -> None:
    both = table(
        [grant(n, CAMERA, "gateway", wireguard=KEYS[n]) for n in (1, 2)]
        + [grant(3, ROBOT, "gateway", wireguard=KEYS[3])]
    )
    found = peers_of(both, NOW)
    assert found.allowed == {KEYS[3]: frozenset({ROBOT})}
    assert found.disputed == {CAMERA}


@settings(max_examples=60, deadline=None)
@given(peers)
def test_a_file_reads_back_as_the_peers(some: Peers) -> None:
    written = file_of(replace(some, until=NOW + 0.5))
    assert read_file(f"[Interface]\nListenPort = 51820\n\n{written}") == some
    assert f"until {NOW}," in written


@settings(max_examples=80, deadline=None)
@given(peers, peers)
def test_changes_lead_from_some_peers_to_others_and_never_past_the_two(before: Peers, after: Peers) -> None:
    now = {key: set(addresses) for key, addresses in before.allowed.items()}
    for _, _, _, _, key, *rest in changes(before, after, "wg0"):
        if rest == ["remove"]:
            del now[key]
        else:
            given_now = {block.partition("/")[0] for block in rest[1].split(",") if block}
            for other in now.values():
                assert not other & given_now or other is now.get(key), "WireGuard would take it from another peer"
            now[key] = given_now
        for peer, addresses in now.items():
            assert addresses <= before.allowed.get(peer, frozenset()) | after.allowed.get(peer, frozenset())
    assert now == {key: set(addresses) for key, addresses in after.allowed.items()}


def test_wireguard_takes_the_file_and_the_changes_and_shows_what_was_meant(router: Node) -> None:
    def shown() -> Peers:
        by_dump = read_dump(router.run("wg", "show", INTERFACE, "dump"))
        assert read_file(router.run("wg", "showconf", INTERFACE)) == by_dump
        return by_dump

    steps = [
        Peers({KEYS[0]: frozenset({CAMERA, SIX}), KEYS[1]: frozenset({OTHER_CAMERA})}),
        Peers({KEYS[0]: frozenset({SIX}), KEYS[2]: frozenset({CAMERA})}),
        Peers({KEYS[2]: frozenset({SIX}), KEYS[0]: frozenset({CAMERA})}),
        Peers(),
    ]
    private = router.run("wg", "genkey").strip()
    router.run(
        "wg", "syncconf", INTERFACE, "/dev/stdin", given=f"[Interface]\nPrivateKey = {private}\n{file_of(steps[0])}"
    )
    assert shown() == steps[0]
    for before, after in pairwise(steps):
        for command in changes(before, after, INTERFACE):
            router.run(*command)
        assert shown() == after
    assert router.run("wg", "show", INTERFACE, "private-key").strip() == private


def test_a_device_talks_through_its_tunnel_until_its_peer_is_gone() -> None:
    names = [f"{INTERFACE}{end}" for end in "rd"]
    try:
        with (
            nodes("router", "device") as [router, device],
            wireguard_interface(router, names[0]),
            wireguard_interface(device, names[1]),
        ):
            router.join(device, "192.0.2.1", "192.0.2.2")
            keys = [one.run("wg", "genkey").strip() for one in (router, device)]
            public = [router.run("wg", "pubkey", given=key).strip() for key in keys]
            for one, name, key, address in zip((router, device), names, keys, ("10.0.9.1", CAMERA), strict=True):
                one.run(
                    "wg", "syncconf", name, "/dev/stdin", given=f"[Interface]\nPrivateKey={key}\nListenPort=51820\n"
                )
                one.run("ip", "address", "add", f"{address}/8", "dev", name)
                one.run("ip", "link", "set", name, "up")
            peer = ["peer", public[0], "endpoint", "192.0.2.1:51820", "allowed-ips", "10.0.9.1/32"]
            device.run("wg", "set", names[1], *peer)
            server = router.listen(443)
            assert not device.reaches("10.0.9.1", 443), "nobody gave it a tunnel"
            meant = Peers({public[1]: frozenset({CAMERA})})
            for command in changes(Peers(), meant, names[0]):
                router.run(*command)
            # A handshake is tried anew only after five seconds: another peer of the same key starts one at once.
            device.run("wg", "set", names[1], "peer", public[0], "remove")
            device.run("wg", "set", names[1], *peer)
            assert device.reaches("10.0.9.1", 443, seconds=10)
            for command in changes(meant, Peers(), names[0]):
                router.run(*command)
            assert not device.reaches("10.0.9.1", 443)
            server.close()
    except (NoNamespaces, WireGuardMissing) as missing:
        pytest.skip(str(missing))


WRONG = (
    (f"[Peer]\nPublicKey = {KEYS[0]}\nAllowedIPs = 10.0.1.0/24", "more than one address"),
    (f"[Peer]\nPublicKey = {KEYS[0]}\nAllowedIPs = 10.0.1.7/32\nAllowedIPs = 0.0.0.0/0", "more than one address"),
    (f"[Peer]\nPublicKey = {KEYS[0]}\nAllowedIPs = ten", "`ten` for an address"),
    ("[Peer]\nAllowedIPs = 10.0.1.7/32", "no public key"),
    ("[Peer]\nPublicKey = c2hvcnQ=", "no public key"),
    ("[Peer]\nPublicKey", "neither a section nor a value"),
)


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_a_file_with_more_than_single_addresses_is_told(text: str, told: str) -> None:
    with pytest.raises(NotWireGuard, match=told):
        read_file(text)


def test_a_dump_is_told_where_it_is_none_and_nothing_of_the_private_key_is() -> None:
    with pytest.raises(NotWireGuard, match="line 2") as told:
        read_dump("SECRET\tpublic\t51820\toff\nSECRET\tpublic\t51820\toff\n")
    assert "SECRET" not in str(told.value)


def test_a_key_that_several_devices_hold_is_no_proof_of_either_and_opens_nothing() -> None:
    both = table([grant(1, CAMERA, "gateway", wireguard=KEYS[0]), grant(2, ROBOT, "aggregator", wireguard=KEYS[0])])
    assert peers_of(both, NOW) == Peers(disputed=frozenset({CAMERA, ROBOT}))
    assert peers_of(both.model_copy(update={"cuts": [cut(2, ROBOT)]}), NOW).allowed == {KEYS[0]: {CAMERA}}
