"""The revision that decisions carry, and what it says of each layer: ``base+tenant:revision+site:revision``."""

from collections.abc import Mapping

from controlplane.contracts.policies import LAYERS, PolicyLayer

_NONE = "none"
_MOST_COMBINED = 256


def split(revision: str) -> dict[PolicyLayer, str]:
    """Return the revision of each layer that decided; empty for an expected layer without policies."""
    base, *others = revision.split("+")
    found: dict[PolicyLayer, str] = {"base": base}
    for layer in LAYERS[1:]:
        stated = [part.partition(":")[2] for part in others if part.startswith(f"{layer}:")]
        if stated:
            found[layer] = "" if stated[0] == _NONE else stated[0]
    return found


class PublicationTimes:
    """When what decides was published, as far as this process knows."""

    def __init__(self) -> None:
        self._of: dict[PolicyLayer, dict[str, float]] = {layer: {} for layer in LAYERS}
        self._combined: dict[str, float | None] = {}

    def note(self, layer: PolicyLayer, published: Mapping[str, float]) -> None:
        """Know when the revisions of a layer were published, by these times (Unix seconds) and no others."""
        self._of[layer] = dict(published)
        self._combined.clear()

    def at(self, revision: str) -> float | None:
        """Return when the newest part of ``revision`` was published, Unix seconds; none when that is not known."""
        try:
            return self._combined[revision]
        except KeyError:
            return self._look(revision)

    def _look(self, revision: str) -> float | None:
        times = [self._of[layer].get(part) for layer, part in split(revision).items() if part]
        known = [time for time in times if time is not None]
        if len(self._combined) >= _MOST_COMBINED:
            self._combined.clear()
        self._combined[revision] = max(known) if known and len(known) == len(times) else None
        return self._combined[revision]
