"""What is remembered of devices for a moment: bounded, least recently used out first."""

from collections import OrderedDict
from collections.abc import Callable

from controlplane.contracts.identity import Device


class Memory:
    """Devices by id and by key, each for a while.

    Args:
        clock: seconds.
        ttl_seconds: how long one is remembered.
        capacity: how many are remembered at most.
    """

    def __init__(self, clock: Callable[[], float], ttl_seconds: float, capacity: int) -> None:
        if capacity < 1 or ttl_seconds < 0:
            raise ValueError("a memory has room for at least one device and a time that is not negative")
        self.now = clock
        self._ttl = ttl_seconds
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[Device, float]] = OrderedDict()
        self._names: dict[str, str] = {}

    def get(self, device_id: str) -> Device | None:
        """Return a device that is still remembered, or none."""
        entry = self._known.get(device_id)
        if entry is None:
            return None
        device, since = entry
        if not 0 <= self.now() - since < self._ttl:
            self.drop(device_id)
            return None
        self._known.move_to_end(device_id)
        return device

    def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return the remembered device of a key, or none."""
        name = self._names.get(thumbprint)
        return None if name is None else self.get(name)

    def keep(self, device: Device, since: float | None = None) -> None:
        """Remember a device as it was at ``since`` (now, unless given)."""
        self.drop(device.id)
        while len(self._known) >= self._capacity:
            self.drop(next(iter(self._known)))
        self._known[device.id] = device, self.now() if since is None else since
        self._names[device.key_thumbprint] = device.id

    def drop(self, device_id: str) -> None:
        """Forget a device."""
        entry = self._known.pop(device_id, None)
        if entry is not None:
            self._names.pop(entry[0].key_thumbprint, None)

    def __len__(self) -> int:
        return len(self._known)
