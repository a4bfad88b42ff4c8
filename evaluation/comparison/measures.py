"""How well a federation's defence told attackers and honest devices apart."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.comparison.results import Sighting

SETTLING_ROUNDS = 3
"""Rounds that rates leave out: everybody is a newcomer, and nothing is known of anybody."""


@dataclass(frozen=True)
class Measures:
    """Figures of one federation.

    A device in a round is positive if nothing of its update went into the model or it stands apart after the round,
    truly so if it is hostile and behaves as such in that round. Rates are over devices and rounds after the third.

    Attributes:
        true_positive_rate: share of positives where there is an attack; none where there never is.
        false_positive_rate: share of positives where there is none; none where no round is late enough.
        ranking: chance that whoever attacks was suspected more than whoever does not, in the same round (area under the
            ROC curve); none where the defence suspects nobody.
        rounds_to_quarantine: by attacker; 1 for the round of its first attack, none for never.
        honest_quarantined: honest devices that ever stood apart, and since which round.
        attribution: share of attackers that were called rightly; none where the defence never calls anybody anything,
            or nobody attacks.
    """

    true_positive_rate: float | None
    false_positive_rate: float | None
    ranking: float | None
    rounds_to_quarantine: Mapping[int, int | None]
    honest_quarantined: Mapping[int, int]
    attribution: float | None

    @property
    def caught(self) -> int:
        """Attackers that were set apart."""
        return sum(rounds is not None for rounds in self.rounds_to_quarantine.values())


def measures(sightings: Sequence[Sighting], names: Collection[str]) -> Measures:
    """The figures of a federation.

    Args:
        sightings: every device in every round.
        names: what its attack may rightly be called.
    """
    settled = [seen for seen in sightings if seen.turn > SETTLING_ROUNDS]
    onsets = _onsets(sightings)
    apart = _set_apart(sightings, onsets)
    return Measures(
        true_positive_rate=_positives(seen for seen in settled if seen.is_attacking),
        false_positive_rate=_positives(seen for seen in settled if not seen.is_attacking),
        ranking=_ranking(settled),
        rounds_to_quarantine={
            device: apart[device].turn - onset + 1 if device in apart else None for device, onset in onsets.items()
        },
        honest_quarantined={device: seen.turn for device, seen in apart.items() if device not in onsets},
        attribution=_attribution(sightings, onsets, apart, names),
    )


def is_positive(seen: Sighting) -> bool:
    """Whether nothing of the device went into the model, or it stands apart."""
    return seen.refused or seen.quarantined


def _onsets(sightings: Sequence[Sighting]) -> dict[int, int]:
    onsets: dict[int, int] = {}
    for seen in sightings:
        if seen.is_attacking:
            onsets.setdefault(seen.device, seen.turn)
    return dict(sorted(onsets.items()))


def _set_apart(sightings: Sequence[Sighting], onsets: Mapping[int, int]) -> dict[int, Sighting]:
    """The first sighting of each device as set apart; of an attacker, since its onset."""
    found: dict[int, Sighting] = {}
    for seen in sightings:
        if seen.quarantined and seen.turn >= onsets.get(seen.device, 1):
            found.setdefault(seen.device, seen)
    return found


def _positives(sightings: Iterable[Sighting]) -> float | None:
    found = [is_positive(seen) for seen in sightings]
    return sum(found) / len(found) if found else None


def _ranking(sightings: Sequence[Sighting]) -> float | None:
    won, pairs = 0.0, 0
    for turn in {seen.turn for seen in sightings}:
        here = [seen for seen in sightings if seen.turn == turn and seen.suspected is not None]
        hostile = [seen.suspected or 0.0 for seen in here if seen.is_attacking]
        honest = [seen.suspected or 0.0 for seen in here if not seen.is_attacking]
        won += sum((h > o) + 0.5 * (h == o) for h in hostile for o in honest)
        pairs += len(hostile) * len(honest)
    return won / pairs if pairs else None


def _attribution(
    sightings: Sequence[Sighting], onsets: Mapping[int, int], apart: Mapping[int, Sighting], names: Collection[str]
) -> float | None:
    """Of an attacker counts what it was called when it was set apart, else what it was called most often."""
    said: dict[int, Counter[str]] = {device: Counter() for device in onsets}
    for seen in sightings:
        if seen.is_attacking and seen.named is not None:
            said[seen.device][seen.named] += 1
    if not any(said.values()):
        return None
    called = {device: found.most_common(1)[0][0] for device, found in said.items() if found}
    called |= {device: seen.named for device, seen in apart.items() if device in onsets and seen.named is not None}
    return sum(called.get(device) in names for device in onsets) / len(onsets)
