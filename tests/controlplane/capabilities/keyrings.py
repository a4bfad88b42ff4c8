"""A store of signing keys in memory, and keepers on it: for what takes hours of a simulated clock."""

from collections.abc import Callable, Sequence

from controlplane.capabilities.keykeeping import KeyKeeper, Schedule
from controlplane.capabilities.keyring import KeyRing
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.events import Notice
from controlplane.contracts.keys import KeptKey, KeyChange

SEALING_KEY = bytes(range(32))


class MemoryKeys:
    """Keeps keys as the table does; `tests/controlplane/storage/test_signing_keys.py` has the real ones."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptKey] = {}

    async def all(self) -> list[KeptKey]:
        return list(self.kept.values())

    async def change(self, decide: Callable[[Sequence[KeptKey]], KeyChange]) -> list[KeptKey]:
        change = decide(list(self.kept.values()))
        self.kept.update({key.kid: key for key in change.put})
        for kid in change.forget:
            del self.kept[kid]
        return list(self.kept.values())


class Announcements:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.pushed: list[str] = []

    def key_notice(self, kid: str, *, reason: str) -> Notice:
        from controlplane.capabilities.revoking import key_notice

        self.reasons[kid] = reason
        return key_notice(kid, reason, 1.0)

    def written(self, notice: Notice) -> None:
        self.pushed += [item.value for item in notice.revocations]


def keeper(
    store: MemoryKeys,
    clock: Callable[[], float],
    *,
    sealing_key: bytes = SEALING_KEY,
    schedule: Schedule | None = None,
    announcements: Announcements | None = None,
) -> KeyKeeper:
    """Return a replica's keeper on ``store``."""
    ring = KeyRing(clock, lambda: 0.0)
    return KeyKeeper(store, Sealer(sealing_key), ring, clock, announcements or Announcements(), schedule)
