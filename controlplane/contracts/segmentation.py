"""Who may reach whom on the network, for how long: attachments, services, grants, and the table of them."""

from ipaddress import IPv6Address, ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Identifier, Label, StrictModel, Text, Timestamp

MAX_GRANTS = 100_000
"""Of one table."""

MAX_PORTS = 32
"""Of one service."""

Protocol = Literal["tcp", "udp"]
"""What a port is of."""

Port = Annotated[int, Field(ge=1, le=65_535)]

Address = Annotated[str, StringConstraints(min_length=2, max_length=45, pattern=r"^[0-9a-f.:]+$")]
"""An IPv4 or IPv6 address in its canonical text (RFC 5952): one spelling for one address."""

_EVERYBODY = "255.255.255.255"

WireGuardKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""A Curve25519 public key as WireGuard writes it: 32 bytes in base64."""


class Attachment(StrictModel):
    """Where a device is on the network, as whoever runs the network says.

    Attributes:
        device: its id.
        address: from which its packets come.
        site: where it stands.
        line: of the site, such as a production line; none where a site has none.
        device_class: what it is, such as a camera.
        wireguard: public key of its tunnel; none where it has no tunnel.
        recorded_at: when this was said, Unix seconds.
    """

    device: Identifier
    address: Address
    site: Label
    line: Label | None = None
    device_class: Label
    wireguard: WireGuardKey | None = None
    recorded_at: Timestamp

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        _require_one_host(self.address)
        return self


class Service(StrictModel):
    """What may be reached: policy's data names them (``policies/data/services``).

    Attributes:
        audience: whose capabilities open it: the name of its enforcement point.
        addresses: where it listens.
        protocol: of its ports.
        ports: on which it listens.
    """

    audience: Identifier
    addresses: Annotated[list[Address], Field(min_length=1, max_length=16)]
    protocol: Protocol = "tcp"
    ports: Annotated[list[Port], Field(min_length=1, max_length=MAX_PORTS)]

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        for address in self.addresses:
            _require_one_host(address)
        return self


class Grant(StrictModel):
    """One device may open connections to one service until a moment, and not longer than its capability.

    Attributes:
        id: of the capability that it mirrors: one grant for each.
        device: whose.
        source: the device's address.
        service: name of the service.
        expires_at: Unix seconds; never after the capability's.
        decision: id of the decision that made it.
        wireguard: public key of the device's tunnel; none where it has none.
        segment: of the device.
        site: of the device.
        device_class: of the device.
    """

    id: Identifier
    device: Identifier
    source: Address
    service: Label
    expires_at: Timestamp
    decision: Identifier
    wireguard: WireGuardKey | None = None
    segment: Label
    site: Label
    device_class: Label

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        _require_one_host(self.source)
        return self


class Cut(StrictModel):
    """A device that nothing may reach and that reaches nothing, whatever grants there are: it was set apart.

    Attributes:
        device: whose.
        address: its packets are dropped in both directions, those of running connections too.
        reason: why, in a word.
    """

    device: Identifier
    address: Address
    reason: Label

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        _require_one_host(self.address)
        return self


class GrantTable(StrictModel):
    """Everything that enforcement points need: the one table that they are compiled from.

    Whatever it does not name is dropped. It is whole: what is in force afterwards is this, and nothing of before.

    Attributes:
        revision: digest of its content; equal tables have equal ones.
        policy_revision: of the policy that made it.
        made_at: Unix seconds. Grants that expired by then are not in it.
        services: by name.
        grants: in order of id.
        cuts: in order of device.
    """

    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    policy_revision: Annotated[str, StringConstraints(max_length=512)]
    made_at: Timestamp
    services: dict[Label, Service]
    grants: Annotated[list[Grant], Field(max_length=MAX_GRANTS)]
    cuts: Annotated[list[Cut], Field(max_length=MAX_GRANTS)]

    @model_validator(mode="after")
    def _of_its_services(self) -> Self:
        unknown = {grant.service for grant in self.grants} - self.services.keys()
        if unknown:
            raise ValueError(f"grants for services that the table does not name: {', '.join(sorted(unknown))}")
        return self


class Reach(StrictModel):
    """Whether packets of one address reach another: what was asked, and the answer with its ground.

    Attributes:
        source: address that opens the connection.
        destination: address that it is opened to.
        protocol: of the port.
        port: that it is opened to.
        reaches: the answer.
        because: the grant, the cut, or that nothing names it.
        until: when the answer changes by itself, Unix seconds; none where it does not.
    """

    source: Address
    destination: Address
    protocol: Protocol
    port: Port
    reaches: bool
    because: Text
    until: Timestamp | None = None


def _require_one_host(address: str) -> None:
    found = ip_address(address)
    if str(found) != address:
        raise ValueError(f"`{address}` is not the canonical text of an address (RFC 5952)")
    # An IPv4 address in the guise of an IPv6 one is two texts for one host; the others are of many hosts.
    mapped = isinstance(found, IPv6Address) and (found.ipv4_mapped is not None or found.scope_id is not None)
    of_many = found.is_unspecified or found.is_multicast or found.is_link_local or address == _EVERYBODY
    if mapped or of_many:
        raise ValueError(f"`{address}` is not the address of one host on a network that is routed")
