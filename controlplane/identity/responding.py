"""Have policy decide what is done about a finding, and do it through the registry."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from controlplane.contracts.decision import Decision
from controlplane.contracts.events import Initiator
from controlplane.contracts.identity import Device, DeviceStatus
from controlplane.identity.comparing import Finding, FindingKind

PACKAGE = "identity"

AGAIN_SECONDS = 600.0
"""After which policy is asked about the same finding once more."""

MOST_REMEMBERED = 10_000


class Decides(Protocol):
    """Decides; `decisions.decider` does."""

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Return the recorded decision of a package."""
        ...


class Devices(Protocol):
    """The registry."""

    async def get(self, device_id: str) -> Device | None:
        """Return a device, or none."""
        ...

    async def set_status(self, device_id: str, status: DeviceStatus, *, initiator: Initiator = ...) -> bool:
        """Set a device's status."""
        ...


class FindingObserver(Protocol):
    """Counts, and says what was found."""

    def found(self, finding: Finding) -> None:
        """Something was found that was not known before."""
        ...

    def responded_to(self, finding: Finding, status: DeviceStatus, decision_id: str) -> None:
        """A device has another status because of a finding."""
        ...


class Responding:
    """The one way from a finding to what is done about it; the same finding again asks again after ten minutes.

    Args:
        ledger: kind of the ledger.
        decider: decides.
        devices: the registry.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self, ledger: str, decider: Decides, devices: Devices, observer: FindingObserver, clock: Callable[[], float]
    ) -> None:
        self._ledger, self._decider, self._devices = ledger, decider, devices
        self._observer, self._clock = observer, clock
        self._answered: dict[tuple[FindingKind, str], float] = {}

    async def respond(self, findings: Sequence[Finding]) -> None:
        """Say what was found, and do what policy decides.

        Raises:
            StoreUnavailable, AuditUnavailable: nothing was decided, or not carried out; it is asked again.
        """
        now = self._clock()
        due = [one for one in findings if self._is_due(one, now)]
        for finding in due:
            if (finding.kind, finding.subject) not in self._answered:
                self._observer.found(finding)
            device = await self._devices.get(finding.subject)
            # About a device that is none here, or one that is shut out for good, nothing can be done.
            together = sum(_is_of_registry(one) == _is_of_registry(finding) for one in findings)
            if device is None or device.status == "revoked" or await self._respond(finding, device, together):
                self._remember(finding, now)

    async def _respond(self, finding: Finding, device: Device, together: int) -> bool:
        """Do what policy decides; false when it could not be asked."""
        facts = {
            "subject": {"type": "ledger", "id": self._ledger},
            "action": {"name": "identity"},
            "resource": {"type": "device", "id": device.id},
            "context": {
                "time": self._clock(),
                "finding": {"kind": finding.kind, "together": together},
                "device": {"status": device.status, "roles": device.roles, "segment": device.segment},
            },
        }
        decision = await self._decider.decide(PACKAGE, facts)
        status = decision.obligations.status
        if not decision.allowed or status is None:
            return decision.outcome != "error"
        if await self._devices.set_status(device.id, status, initiator="policy"):
            self._observer.responded_to(finding, status, decision.id)
        return True

    def _is_due(self, finding: Finding, now: float) -> bool:
        answered = self._answered.get((finding.kind, finding.subject))
        return answered is None or not 0 <= now - answered < AGAIN_SECONDS

    def _remember(self, finding: Finding, now: float) -> None:
        key = finding.kind, finding.subject
        self._answered.pop(key, None)
        if len(self._answered) >= MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = now


def _is_of_registry(finding: Finding) -> bool:
    """Whether it is about a device as it is registered here, and not about what the ledger has.

    Each is counted among its like: what others write onto a ledger, or how slow it is, must not keep a revocation there
    from being heeded.
    """
    return finding.kind in ("unrecorded", "other_key", "revoked_elsewhere")
