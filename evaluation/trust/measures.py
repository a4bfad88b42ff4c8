"""What the sightings of a guarded federation say of those who judged it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.contracts.behaviour import Attack
from evaluation.trust.results import Sighting

SETTLING_ROUNDS = 3
"""Rounds that rates leave out: everybody is a newcomer, and nothing is known of anybody."""


@dataclass(frozen=True)
class Measures:
    """Figures of one guarded federation.

    A device in a round is positive if its update did not go into the model or it stands quarantined after the round,
    truly so if it is hostile and behaves as such in that round. Both rates are over devices and rounds after the third.

    Attributes:
        true_positive_rate: share of positives where there is an attack; none where there never is.
        false_positive_rate: share of positives where there is none.
        rounds_to_quarantine: by attacker; 1 for the round of the onset itself, none for never.
        honest_quarantined: honest devices that ever were, and since which round.
        named: what the verdict that quarantined an attacker called it, by attacker.
    """

    true_positive_rate: float | None
    false_positive_rate: float
    rounds_to_quarantine: Mapping[int, int | None]
    honest_quarantined: Mapping[int, int]
    named: Mapping[int, Attack | None]

    @property
    def slowest(self) -> int | None:
        """Rounds until the last attacker was quarantined; none where one never was, or there is none."""
        found = [rounds for rounds in self.rounds_to_quarantine.values() if rounds is not None]
        return max(found) if found and len(found) == len(self.rounds_to_quarantine) else None

    @property
    def caught(self) -> int:
        """Attackers that were quarantined."""
        return sum(rounds is not None for rounds in self.rounds_to_quarantine.values())

    def rightly_named(self, names: Sequence[Attack]) -> int:
        """How many attackers the verdict that quarantined them called by one of ``names``."""
        return sum(name in names for name in self.named.values())


def measures(sightings: Sequence[Sighting]) -> Measures:
    """The figures of a guarded federation."""
    settled = [seen for seen in sightings if seen.turn > SETTLING_ROUNDS]
    onsets = _onsets(sightings)
    quarantines = _quarantines(sightings, onsets)
    honest = {seen.device: None for seen in sightings if seen.device not in onsets}
    return Measures(
        true_positive_rate=_share_of_positives(seen for seen in settled if seen.is_attacking),
        false_positive_rate=_share_of_positives(seen for seen in settled if not seen.is_attacking) or 0.0,
        rounds_to_quarantine={
            device: quarantines[device].turn - onset + 1 if device in quarantines else None
            for device, onset in onsets.items()
        },
        honest_quarantined={device: quarantines[device].turn for device in honest if device in quarantines},
        named={device: quarantines[device].attack for device in onsets if device in quarantines},
    )


def is_positive(seen: Sighting) -> bool:
    """Whether nothing of the device went into the model, or it stands quarantined."""
    return not seen.accepted or seen.state == "quarantined"


def _onsets(sightings: Sequence[Sighting]) -> dict[int, int]:
    onsets: dict[int, int] = {}
    for seen in sightings:
        if seen.is_attacking:
            onsets.setdefault(seen.device, seen.turn)
    return dict(sorted(onsets.items()))


def _quarantines(sightings: Sequence[Sighting], onsets: Mapping[int, int]) -> dict[int, Sighting]:
    """The first sighting of each device as quarantined; of an attacker, since its onset."""
    found: dict[int, Sighting] = {}
    for seen in sightings:
        if seen.state == "quarantined" and seen.turn >= onsets.get(seen.device, 1):
            found.setdefault(seen.device, seen)
    return found


def _share_of_positives(sightings: Iterable[Sighting]) -> float | None:
    found = [is_positive(seen) for seen in sightings]
    return sum(found) / len(found) if found else None
