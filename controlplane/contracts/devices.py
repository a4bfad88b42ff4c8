"""Enrolled devices as they are listed: who they are, where each stands, and how far it is trusted and proven."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Identifier, Label, Share, StrictModel, Text, Timestamp
from controlplane.contracts.behaviour import BehaviourState, EValue
from controlplane.contracts.decision import MAX_PAGE_TOKEN
from controlplane.contracts.identity import Attestation, DeviceStatus, Roles, Trust

Stands = Literal["trusted", "watched", "recovering", "quarantined", "held", "revoked"]
"""Where a device stands, in a word: by its behaviour, or because a person set it apart or out."""

DeviceOrder = Literal["id", "trust"]
"""Devices by their id, or by trust, least first."""

MAX_DEVICES = 1_000
"""Devices of one page."""

MAX_TOTAL = 1_000_000
"""Devices are counted up to here."""

SearchText = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")]
"""A part of a name, whatever its case; its characters mean themselves."""


class DeviceQuery(StrictModel):
    """Which devices are looked for; each member that is given narrows.

    Attributes:
        status: of the device.
        state: where it stands.
        segment: where it lives.
        below: those with less trust than this.
        text: those that have it in their id, a role or the segment.
        since: those that enrolled at this time (Unix seconds) and later.
    """

    status: DeviceStatus | None = None
    state: Stands | None = None
    segment: Label | None = None
    below: Share | None = None
    text: SearchText | None = None
    since: Timestamp | None = None


class ListedDevice(StrictModel):
    """A device in a list.

    Attributes:
        held: a person set it apart, so that only a person lets it back.
        state: where its behaviour has it stand.
        since: for how long, as Unix seconds; none for one that was never observed.
        e_value: the evidence against it over all channels; 1 where there is none either way.
        observed_at: when it was last observed, Unix seconds.
        enrolled_at: Unix seconds.
        attestation: what its platform has proven, whether or not that has expired.
        attested: the kind of evidence that the strongest proof which counts now is of; none where none counts.
    """

    id: Identifier
    roles: Roles
    segment: Label
    status: DeviceStatus
    held: bool
    state: BehaviourState
    since: Timestamp | None = None
    trust: Trust
    e_value: EValue
    observed_at: Timestamp | None = None
    enrolled_at: Timestamp
    attestation: Attestation
    attested: Label | None = None


class DevicesFound(StrictModel):
    """A page of devices.

    By trust, one whose trust changes between two pages may be on both or on neither.

    Attributes:
        total: how many there are on all pages.
        next_token: opaque; empty at the end.
    """

    devices: Annotated[list[ListedDevice], Field(max_length=MAX_DEVICES)]
    total: Annotated[int, Field(ge=0, le=MAX_TOTAL)]
    next_token: Annotated[str, StringConstraints(max_length=MAX_PAGE_TOKEN)]


DeviceChangeKind = Literal["enrolled", "attested", "placed", "judged", "status", "key", "revoked"]
"""``enrolled`` here; ``attested`` by its latest evidence of a kind; ``placed`` on the network; ``judged``, and moved
from one state to another; ``status``: set apart or let back; ``key``: another one, or a certificate taken back;
``revoked``: what it held is void."""

MAX_CHANGES = 500


class DeviceChange(StrictModel):
    """Something that happened to a device.

    Attributes:
        at: Unix seconds.
        what: for people.
        by: who brought it about: a name, or one of ``admin``, ``user``, ``policy``, ``system``; none where it is not
            on record.
        decision_id: behind it; none where it is not on record.
    """

    at: Timestamp
    kind: DeviceChangeKind
    device: Identifier
    what: Text
    by: Identifier | None = None
    decision_id: Identifier | None = None


class DeviceChanges(StrictModel):
    """What happened to devices, newest first.

    Attributes:
        since: as far as it was looked back, Unix seconds; what happened before is asked for with ``until``.
    """

    changes: Annotated[list[DeviceChange], Field(max_length=MAX_CHANGES)]
    since: Timestamp
