"""What a table lets through at a moment: flows with their ends, and the addresses that are cut off."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, NamedTuple

from controlplane.contracts.segmentation import Grant, GrantTable, Protocol

MAX_FLOWS = 250_000
"""Of one table: grants, times the addresses and the ports of their services."""

Family = Literal["4", "6"]
"""Version of the Internet Protocol."""


class TooManyFlows(Exception):  # noqa: N818 - what is wrong with a table, as callers see it
    """A table stands for more flows than an enforcement point can be asked to hold."""


class Flow(NamedTuple):
    """Connections that one address may open to one port of another.

    Attributes:
        source: that opens them, in canonical text.
        destination: to which they are opened, in canonical text.
        protocol: of the port.
        port: of the destination.
    """

    source: str
    destination: str
    protocol: Protocol
    port: int

    def __str__(self) -> str:
        """As people read it: ``10.0.1.7 -> 10.0.3.2 tcp 443``."""
        return f"{self.source} -> {self.destination} {self.protocol} {self.port}"


class Admission(NamedTuple):
    """Connections that one address may open to one port of a service, wherever that listens.

    For enforcement points that stand before a service, and know it by its name.

    Attributes:
        source: that opens them, in canonical text.
        service: its name.
        protocol: of the port.
        port: of the service.
    """

    source: str
    service: str
    protocol: Protocol
    port: int


@dataclass(frozen=True)
class Rules:
    """What is in force: whatever is not in it does not pass.

    Attributes:
        flows: each with the moment of its end, Unix seconds.
        cut: addresses that nothing reaches and that reach nothing.
    """

    flows: Mapping[Flow, int] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()


def family_of(address: str) -> Family:
    """Return which version of the Internet Protocol an address in canonical text is of."""
    return "6" if ":" in address else "4"


@lru_cache(1 << 16)
def canonical(address: str) -> str:
    """Return the one spelling of an address (RFC 5952).

    Raises:
        ValueError: it is none, or names an interface beside it (RFC 4007), which may be any text.
    """
    found = ip_address(address)
    if found.version == 6 and found.scope_id is not None:
        raise ValueError(f"`{address[:64]}` names an interface beside the address")
    return str(found)


def in_force(table: GrantTable, now: float) -> Iterator[Grant]:
    """Yield the grants that have not ended by `now`, without those of devices and addresses that are cut off."""
    devices = {cut.device for cut in table.cuts}
    addresses = {cut.address for cut in table.cuts}
    for grant in table.grants:
        if grant.expires_at > now and grant.device not in devices and grant.source not in addresses:
            yield grant


def rules_of(table: GrantTable, now: float) -> Rules:
    """Return what a table lets through at a moment; of two grants for the same flow the later end counts.

    Args:
        table: the whole of it.
        now: Unix seconds.

    Raises:
        TooManyFlows: it stands for more than MAX_FLOWS.
    """
    flows: dict[Flow, int] = {}
    cut = frozenset(each.address for each in table.cuts)
    opened = _opened(table, cut)
    for grant in in_force(table, now):
        end = math.floor(grant.expires_at)
        for destination, protocol, port in opened[grant.service, family_of(grant.source)]:
            flow = Flow(grant.source, destination, protocol, port)
            flows[flow] = max(end, flows.get(flow, 0))
        if len(flows) > MAX_FLOWS:
            raise TooManyFlows(
                f"table {table.revision[:12]} stands for more than {MAX_FLOWS} flows (grants times addresses times "
                "ports); give services fewer addresses and ports, or split the sites over several routers"
            )
    return Rules(flows, cut)


def admissions_of(table: GrantTable, now: float) -> dict[Admission, int]:
    """Return whom services let in at a moment, with the end, Unix seconds; the same flows as those of `rules_of`."""
    admitted: dict[Admission, int] = {}
    opened = _opened(table, frozenset(each.address for each in table.cuts))
    for grant in in_force(table, now):
        for _, protocol, port in opened[grant.service, family_of(grant.source)]:
            admission = Admission(grant.source, grant.service, protocol, port)
            admitted[admission] = max(math.floor(grant.expires_at), admitted.get(admission, 0))
    return admitted


def _opened(table: GrantTable, cut: frozenset[str]) -> dict[tuple[str, Family], list[tuple[str, Protocol, int]]]:
    """What a grant of each service opens, by the family of its source."""
    families: tuple[Family, Family] = ("4", "6")
    return {
        (name, family): [
            (address, service.protocol, port)
            for address in service.addresses
            if family_of(address) == family and address not in cut
            for port in service.ports
        ]
        for name, service in table.services.items()
        for family in families
    }
