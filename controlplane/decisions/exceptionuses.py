"""Which granted exceptions were needed, gathered until they are written together."""

from collections.abc import Collection, Mapping

from controlplane.contracts.exceptions import EXCEPTION_PREFIX
from controlplane.storage.exceptions import MAX_LIVE, Uses

_PREFIX = f"{EXCEPTION_PREFIX}-"


class ExceptionUses:
    """Counts uses by the id of an exception; those of a bundle have other names and are counted in metrics alone."""

    def __init__(self) -> None:
        self._waiting: dict[str, Uses] = {}

    def add(self, names: Collection[str], at: float) -> None:
        """Count one use of each granted exception of ``names`` at ``at`` (Unix seconds)."""
        for name in names:
            known = self._waiting.get(name)
            if known is not None:
                self._waiting[name] = Uses(known.times + 1, max(known.last_at, at))
            elif name.startswith(_PREFIX) and len(self._waiting) < MAX_LIVE:
                self._waiting[name] = Uses(1, at)

    def take(self) -> dict[str, Uses]:
        """Return what was counted since it was taken last."""
        taken, self._waiting = self._waiting, {}
        return taken

    def give_back(self, uses: Mapping[str, Uses]) -> None:
        """Count again what was taken and could not be written."""
        for name, of in uses.items():
            known = self._waiting.get(name, Uses(0, 0.0))
            self._waiting[name] = Uses(known.times + of.times, max(known.last_at, of.last_at))
