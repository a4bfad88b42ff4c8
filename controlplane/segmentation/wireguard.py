"""Rules compiled to the peers of a WireGuard interface: a device has a tunnel while it holds a grant, and no longer.

An address that belongs to a peer can be sent from by that peer alone (cryptokey routing), which nftables on the same
router builds on: it decides where the device may go, WireGuard that it is the device. The interface must be for
devices alone: a peer that is not compiled is removed. Keys are public ones; the router's own never comes here.
(wg(8): its files, and what `wg show INTERFACE dump` prints.)
"""

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import canonical, family_of, in_force

_DUMP_FIELDS = 8
_ALLOWED = 3


class NotWireGuard(Exception):  # noqa: N818 - what is wrong with a text, as callers see it
    """A text is no list of peers as WireGuard writes it, or gives a peer more than single addresses."""


@dataclass(frozen=True)
class Peers:
    """Who has a tunnel.

    Attributes:
        allowed: addresses from which each may send, by public key.
        until: the first moment at which a tunnel or an address of one ends, Unix seconds; none where there is none.
        disputed: addresses that nobody has. Several keys hold grants for one, and WireGuard would give it to
            whichever came last; or its key holds grants of several devices, each of which could send as the others.
    """

    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    until: float | None = None
    disputed: frozenset[str] = frozenset()


def peers_of(table: GrantTable, now: float) -> Peers:
    """Return who has a tunnel at a moment: devices that hold a grant, have a key, and are not cut off.

    Args:
        table: the whole of it.
        now: Unix seconds.
    """
    holders: dict[str, dict[str, float]] = {}
    bearers: dict[str, set[str]] = {}
    for grant in in_force(table, now):
        if grant.wireguard is not None:
            ends = holders.setdefault(grant.source, {})
            ends[grant.wireguard] = max(grant.expires_at, ends.get(grant.wireguard, 0.0))
            bearers.setdefault(grant.wireguard, set()).add(grant.device)
    allowed: dict[str, set[str]] = {}
    until: list[float] = []
    disputed: set[str] = set()
    for source, ends in holders.items():
        key, end = next(iter(ends.items()))
        if len(ends) > 1 or len(bearers[key]) > 1:
            disputed.add(source)
        else:
            allowed.setdefault(key, set()).add(source)
            until.append(end)
    return Peers(
        {key: frozenset(addresses) for key, addresses in allowed.items()},
        min(until, default=None),
        frozenset(disputed),
    )


def file_of(peers: Peers) -> str:
    """Return the peers as sections of a file, to put behind the router's own `[Interface]` for `wg syncconf`.

    Without that section `wg syncconf` would take the router's private key away.
    """
    stands = "" if peers.until is None else f"# May stand until {math.floor(peers.until)}, Unix seconds.\n"
    return stands + "\n".join(
        f"[Peer]\nPublicKey = {key}\nAllowedIPs = {_blocks(peers.allowed[key])}\n" for key in sorted(peers.allowed)
    )


def changes(before: Peers, after: Peers, interface: str) -> list[list[str]]:
    """Return commands, each as its words, that take an interface from some peers to others, removals first.

    An address that goes from one peer to another is taken away before it is given: no peer is left with what another
    should have, and at worst an address is with nobody for an instant.
    """
    gone = sorted(before.allowed.keys() - after.allowed.keys())
    commands = [["wg", "set", interface, "peer", key, "remove"] for key in gone]
    changed = [key for key in sorted(after.allowed) if before.allowed.get(key) != after.allowed[key]]
    for key in changed:
        kept = before.allowed.get(key, frozenset()) & after.allowed[key]
        if key in before.allowed and kept != before.allowed[key]:
            commands.append(["wg", "set", interface, "peer", key, "allowed-ips", _blocks(kept)])
    more = [key for key in changed if not after.allowed[key] <= before.allowed.get(key, frozenset())]
    commands += [["wg", "set", interface, "peer", key, "allowed-ips", _blocks(after.allowed[key])] for key in more]
    return commands


def read_dump(text: str) -> Peers:
    """Return the peers of `wg show INTERFACE dump`.

    Raises:
        NotWireGuard: it is no such text, or a peer has more than single addresses.
    """
    allowed: dict[str, frozenset[str]] = {}
    # The first line is the interface's own, with its private key: nothing of it is kept or told.
    for number, line in enumerate(text.splitlines()[1:], start=2):
        fields = line.split("\t")
        if len(fields) != _DUMP_FIELDS:
            raise NotWireGuard(f"line {number} of the dump has {len(fields)} fields instead of {_DUMP_FIELDS}")
        listed = fields[_ALLOWED]
        allowed[_key(fields[0], number)] = _addresses("" if listed == "(none)" else listed, number)
    return Peers(allowed)


def read_file(text: str) -> Peers:
    """Return the peers of a file as `wg showconf` writes it, or `file_of`.

    Raises:
        NotWireGuard: it is no such text, or a peer has more than single addresses.
    """
    allowed: dict[str, frozenset[str]] = {}
    for section in _sections(text):
        key, number = section.get("publickey", ("", 0))
        allowed[_key(key, number)] = _addresses(*section.get("allowedips", ("", number)))
    return Peers(allowed)


def _sections(text: str) -> Iterator[dict[str, tuple[str, int]]]:
    """The `[Peer]` sections, each value with its line; as for WireGuard, the case of names does not matter."""
    section: dict[str, tuple[str, int]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if words.startswith("["):
            if section is not None:
                yield section
            section = {} if words.lower() == "[peer]" else None
        elif words and section is not None:
            name, equals, value = words.partition("=")
            name, value = name.strip().lower(), value.strip()
            if not equals:
                raise NotWireGuard(f"line {number} is neither a section nor a value")
            before = section[name][0] + "," if name == "allowedips" and name in section else ""
            section[name] = (before + value, number)
    if section is not None:
        yield section


def _blocks(addresses: frozenset[str]) -> str:
    return ",".join(f"{each}/{128 if family_of(each) == '6' else 32}" for each in sorted(addresses))


def _addresses(listed: str, number: int) -> frozenset[str]:
    found: set[str] = set()
    for block in filter(None, map(str.strip, listed.split(","))):
        try:
            network = ip_network(block, strict=False)
        except ValueError:
            raise NotWireGuard(f"line {number} has `{block[:64]}` for an address") from None
        if network.num_addresses != 1:
            raise NotWireGuard(f"line {number} gives a peer {network}, which is more than one address")
        found.add(canonical(str(network.network_address)))
    return frozenset(found)


def _key(text: str, number: int) -> str:
    try:
        if len(base64.b64decode(text, validate=True)) == 32:
            return text
    except binascii.Error:
        pass
    raise NotWireGuard(f"line {number} has no public key of 32 bytes in base64")
