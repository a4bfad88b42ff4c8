"""What is said and asked of attachments, and answered about what they reach."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.base import Identifier, Label, StrictModel
from controlplane.contracts.segmentation import Address, Attachment, Reach, WireGuardKey

MAX_ATTACHMENTS = 100_000
"""Devices whose place is known."""

MAX_PAGE = 1000
"""Attachments of one answer."""

MAX_REACHES = 256
"""Answers to one question of what reaches what."""

Opened = Literal["granted", "denied", "error", "full", "unknown"]
"""What became of a way on the network: granted; denied by policy; policy could not be asked; the table is full; or
policy does not tell what can be reached."""


class AttachmentStated(StrictModel):
    """Where a device is on the network, as whoever runs the network says; which device, the path says.

    Attributes:
        address: from which its packets come: one host's, in canonical text.
        site: where it stands.
        line: of the site, such as a production line; none where a site has none.
        device_class: what it is, such as a camera.
        wireguard: public key of its tunnel; none where it has no tunnel.
    """

    address: Address
    site: Label
    line: Label | None = None
    device_class: Label
    wireguard: WireGuardKey | None = None

    @model_validator(mode="after")
    def _of_one_host(self) -> Self:
        found = ip_address(self.address)
        if str(found) != self.address:
            raise ValueError(f"`{self.address}` is not the canonical text of an address (RFC 5952): write `{found}`")
        if not is_of_a_host(found):
            raise ValueError(f"`{self.address}` is not the address of one host on a network that is routed")
        return self


class AttachmentsFound(StrictModel):
    """A page of attachments, in order of device.

    Attributes:
        after: the device to go on after; none at the end.
        known: false while this replica cannot read the store, and makes no grants.
    """

    attachments: Annotated[list[Attachment], Field(max_length=MAX_PAGE)]
    after: Identifier | None = None
    known: bool


class ServicesQuery(StrictModel):
    """Asks policy what may be reached on the network.

    Attributes:
        ip_versions: those that enforcement points know.
    """

    ip_versions: Annotated[list[int], Field(min_length=1, max_length=2)]


class DeviceReach(StrictModel):
    """Whether one device reaches one address of a service, by the compiled rules.

    Attributes:
        device: that was asked about; none where an address was.
        service: that was asked about; none where an address was.
        reach: the answer.
    """

    device: Identifier | None = None
    service: Label | None = None
    reach: Reach


class ReachFound(StrictModel):
    """What the compiled rules let pass.

    Attributes:
        revision: of the table that they were compiled from.
        reaches: an answer for each device and address that the question is about.
        complete: false where there are more of them than are answered at once; narrow the question.
    """

    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    reaches: Annotated[list[DeviceReach], Field(max_length=MAX_REACHES)]
    complete: bool


def is_of_a_host(address: IPv4Address | IPv6Address) -> bool:
    """Whether packets with this source come from one host: no group, no loopback, and no other address in disguise."""
    mapped = isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None)
    return not (
        mapped
        or address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address.is_reserved
    )
