"""The registry of devices, with a short memory so that not every request reads the store."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from controlplane.contracts.events import Initiator, Notice
from controlplane.contracts.identity import Device, DeviceStatus, Trust
from controlplane.contracts.observed import Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.identifiers.records import Record
from controlplane.identity.interfaces import Announcer, RegistryStore
from controlplane.identity.memory import Memory
from controlplane.identity.tokens import token_digest

Keep = Callable[[Sequence[Observed], Sequence[Contribution], Tell], Awaitable[frozenset[str]]]
"""Writes it in one transaction with the notice of it, except for who was changed meanwhile, and returns these;
`BehaviourStore.apply` is one."""

_TOLD: tuple[DeviceStatus, ...] = ("quarantined", "active")

_Lookup = tuple[str, str]


class Registry:
    """Looks devices up and changes them.

    What it says of a device is at most ``ttl_seconds`` old, so a revocation by another process holds here
    within that time; this process's own changes hold at once. When the store is down, so is the registry:
    it never falls back to what it remembers.

    Args:
        store: keeps devices.
        clock: seconds.
        ttl_seconds: how long a device is remembered.
        capacity: devices remembered at most.
        announcer: is told of every change of status; none announces nothing.
        newcomer: trust of one that is let back; none leaves it what it has.
    """

    def __init__(
        self,
        store: RegistryStore,
        clock: Callable[[], float],
        ttl_seconds: float = 1.0,
        capacity: int = 100_000,
        announcer: Announcer | None = None,
        newcomer: Trust | None = None,
    ) -> None:
        self._store = store
        self._newcomer = newcomer
        self._announcer = announcer
        self._now = clock
        self._memory = Memory(clock, ttl_seconds, capacity)
        self._reads: dict[_Lookup, asyncio.Task[Device | None]] = {}

    async def get(self, device_id: str) -> Device | None:
        """Return a device by id, or none."""
        known = self._memory.get(device_id)
        return known or await self._read(("id", device_id), self._store.devices.get)

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return the device that holds a key (RFC 7638), or none."""
        known = self._memory.by_thumbprint(thumbprint)
        return known or await self._read(("thumbprint", thumbprint), self._store.devices.by_thumbprint)

    async def by_former_thumbprint(self, thumbprint: str) -> Device | None:
        """Return the device that had a key before the one that it has, or none."""
        name = await self._store.identities.former_holder(thumbprint)
        return None if name is None else await self.get(name)

    async def enrol(self, token: str | None, device: Device) -> bool:
        """Use up the token and add the device in one transaction; false when either cannot be, with nothing changed.

        Without a token the key alone is used up: nobody enrols one twice.
        """
        added = await self._store.enrol(None if token is None else token_digest(token), device)
        if added:
            self._forget({device.id})
            self._memory.keep(device)
        return added

    async def rotate(self, device: Device, record: Record) -> None:
        """Give a device another key, as a record says that it signed and the new key consented to.

        The old key is nobody's from then on, and what it holds is void. Everybody who follows the events hears of it.

        Raises:
            RecordRefused: it may not be made, or the key is or was another's; nothing changed.
        """
        notice = Notice() if self._announcer is None else self._announcer.rotation_notice(device.id)
        try:
            await self._store.identities.rotate(device.id, record, notice, self._now())
        finally:
            self._forget({device.id})
        self._announce(notice)

    async def record_behaviour(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution] = (), keep: Keep | None = None
    ) -> frozenset[str]:
        """Keep what observations made of their subjects and what they contributed, in one transaction.

        What those who are set apart hold is void from then on, and everybody who follows the events hears of it, and
        of who is let back. A revoked device stays revoked.

        Args:
            observed: each subject once.
            contributions: updates that were admitted.
            keep: writes it, with what else belongs into the transaction; none for the store, with nothing else.

        Returns:
            The subjects that somebody else changed since they were read. Of them nothing was written.
        """
        notice = Notice()

        def _tell(kept: Collection[str]) -> Notice:
            nonlocal notice
            becomes = {one.subject: one.status for one in observed if one.subject in kept}
            parts = [
                self._notice([name for name, found in becomes.items() if found == status], status, "policy")
                for status in _TOLD
            ]
            notice = Notice(
                revocations=[found for one in parts for found in one.revocations],
                events=[found for one in parts for found in one.events],
            )
            return notice

        try:
            stale = await (keep or self._store.behaviour.apply)(observed, contributions, _tell)
        finally:
            self._forget([one.subject for one in observed])
        self._announce(notice)
        return stale

    async def set_status(self, device_id: str, status: DeviceStatus, *, initiator: Initiator = "admin") -> bool:
        """Set a device's status; false when there is no such device, or it is revoked: that is final.

        Unless it is active now, what it holds is void, and everybody who follows the events hears of it. One that is
        let back has a newcomer's trust, and its behaviour counts from the beginning.
        """
        notice = self._notice({device_id}, status, initiator)
        try:
            is_known = await self._store.devices.set_status(device_id, status, notice, self._newcomer)
        finally:
            self._forget({device_id})
        if is_known:
            self._announce(notice)
        return is_known

    def changed(self, device_id: str) -> None:
        """Forget what is remembered of a device: it was changed in the store, past this registry."""
        self._forget({device_id})

    def _notice(self, subjects: Collection[str], status: DeviceStatus, initiator: Initiator) -> Notice:
        if self._announcer is None or not subjects:
            return Notice()
        return self._announcer.status_notice(subjects, status, initiator=initiator)

    def _announce(self, notice: Notice) -> None:
        if self._announcer is not None and notice.events:
            self._announcer.written(notice)

    async def _read(self, lookup: _Lookup, read: Callable[[str], Awaitable[Device | None]]) -> Device | None:
        task = self._reads.get(lookup)
        if task is None:
            task = asyncio.create_task(self._fetch(lookup, read))
            self._reads[lookup] = task
            task.add_done_callback(_retrieve)
        # One caller's cancellation must not cancel the read of the others.
        return await asyncio.shield(task)

    async def _fetch(self, lookup: _Lookup, read: Callable[[str], Awaitable[Device | None]]) -> Device | None:
        started = self._memory.now()
        try:
            device = await read(lookup[1])
        finally:
            is_current = self._reads.get(lookup) is asyncio.current_task()
            if is_current:
                del self._reads[lookup]
        if device is not None and is_current:
            self._memory.keep(device, since=started)
        return device

    def _forget(self, names: Collection[str]) -> None:
        # A read that began before a change may carry the state before it: nobody else joins it, nothing keeps it.
        # After a fault it is unknown whether the change was made, so this is done then too.
        self._reads.clear()
        for name in names:
            self._memory.drop(name)


def _retrieve(task: "asyncio.Task[Device | None]") -> None:
    # When every caller was cancelled, nobody is left to hear of a fault.
    if not task.cancelled():
        task.exception()
