"""Open ways on the network for capabilities: policy decides, and a grant is kept that ends no later than they do."""

from collections.abc import Callable
from typing import Any, Protocol

import structlog

from controlplane.contracts.attachments import Opened
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.identity import Device
from controlplane.contracts.segmentation import Attachment, Grant
from controlplane.decisions.attachments import CurrentAttachments
from controlplane.decisions.decider import Decider
from controlplane.decisions.gathering import subject_facts
from controlplane.decisions.reachable import ServicePolicy
from controlplane.storage.segments import Made

ACTION = "segmentation"

_log = structlog.get_logger("ztfm.segments")


class GrantStore(Protocol):
    """Keeps grants; `storage.segments` does."""

    async def grant(self, made: Made, now: float) -> bool:
        """Keep a grant; false when there are too many."""
        ...


class WayObserver(Protocol):
    """Counts."""

    def opened(self, outcome: Opened) -> None:
        """A capability for a service was given out to a device whose place is known; this became of its way."""
        ...


class Segmenting:
    """Makes grants. Whoever has none reaches nothing, so whatever goes wrong leaves the network closed.

    Args:
        attachments: where devices are.
        policy: says what can be reached.
        decider: asks policy, and records.
        store: keeps grants.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        attachments: CurrentAttachments,
        policy: ServicePolicy,
        decider: Decider,
        store: GrantStore,
        observer: WayObserver,
        clock: Callable[[], float],
    ) -> None:
        self._attachments = attachments
        self._policy = policy
        self._decider = decider
        self._store = store
        self._observer = observer
        self._clock = clock

    def place_of(self, device: str) -> Attachment | None:
        """Return where a device is; none where that is not known, and no way is to be opened."""
        return self._attachments.of(device)

    async def open(self, place: Attachment, device: Device, claims: CapabilityClaims, kid: str) -> Grant | None:
        """Keep a grant for a capability that was minted just now, and return it; none where policy allows none.

        Args:
            place: where the device is.
            device: as it was known when the capability was decided on.
            claims: of the capability.
            kid: of the key that signed it.

        Raises:
            Exception: the decision could not be recorded, or the grant could not be kept; the capability must not
                be given out then.
        """
        reachable = await self._policy.reachable()
        if reachable is None:
            self._observer.opened("unknown")
            return None
        name = reachable.by_audience.get(claims.aud)
        if name is None:
            # Its audience is no service on the network: nothing is asked, as for a device that is nowhere.
            return None
        now = self._clock()
        decision = await self._decider.decide(ACTION, facts_of(place, device, claims, now))
        if not decision.allowed or decision.obligations.service != name:
            self._observer.opened("denied" if decision.outcome == "deny" else "error")
            return None
        grant = Grant(
            id=claims.jti,
            device=device.id,
            source=place.address,
            service=name,
            expires_at=min(claims.exp, claims.iat + decision.ttl_seconds),
            decision=decision.id,
            wireguard=place.wireguard,
            segment=device.segment,
            site=place.site,
            device_class=place.device_class,
        )
        if not await self._store.grant(Made(grant, place.line, kid, claims.iat), now):
            self._observer.opened("full")
            _log.error("grants_full", device=device.id, service=name, remedy="the table holds as many as it can")
            return None
        self._observer.opened("granted")
        return grant


def facts_of(place: Attachment, device: Device, claims: CapabilityClaims, now: float) -> dict[str, Any]:
    """Return what `ztfm.segmentation` is asked about a capability at ``now`` (Unix seconds)."""
    attachment: dict[str, Any] = {
        "address": place.address,
        "site": place.site,
        "device_class": place.device_class,
        "tunnelled": place.wireguard is not None,
    }
    if place.line is not None:
        attachment["line"] = place.line
    return {
        "subject": {"type": "device", "id": device.id, "properties": subject_facts(device, now)},
        "action": {"name": ACTION},
        "resource": {"type": "service", "id": claims.aud},
        "context": {
            "time": now,
            "action": claims.detail.action,
            "model": claims.detail.resource_id,
            "attachment": attachment,
        },
    }
