"""How far a subject's requests to the control plane are unlike its peers' and its own: the score of one window.

How much it asks counts by itself. A new network, an odd hour, things never asked for before and denials are
circumstances: each alone speaks against nobody, or a device that moves, or that policy denies all for want of an
attestation, would be set apart for it; more than one and a half of them together do.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from controlplane.behavior.requests.familiar import Hours, Mark, Networks, Pairs
from controlplane.behavior.requests.likeness import Patterns, Scored, scored
from controlplane.behavior.requests.measures import BURST, Centre, Lately, Measure, Readings, Usual, compared, learnt
from controlplane.behavior.requests.windows import USES, Closed, Window, latest
from controlplane.behavior.scores import Part
from controlplane.contracts.base import Count, Label, StrictModel, Timestamp

RATE = Measure("request_rate", spread=0.5, tolerance=BURST, is_amount=True)
MEASURES = (RATE,)

PATTERNS: Patterns = {
    "overuse": {"request_rate": 1.0},
    "stolen_identity": {"new_network": 1.0, "off_hours": 1.0, "new_pairs": 1.0, "denials": 1.0},
}

_UNHURRIED = 2.0
"""So many unremarkable requests are added to a window's, so that the first of a quiet one does not fill it."""

_HALF = 0.5
_TOLERATED = 1.5
_STEEPNESS = 2.0
_MATURE_WINDOWS = 30.0
_MATURE_HOURS = 24.0
_MOST_WINDOWS = 1_000_000


class RequestProfile(StrictModel):
    """What is kept of a subject's requests; constant in size, two kilobytes.

    Attributes:
        windows: with requests, so far.
        usual: by measure.
        used: by mark of a model, when an inference was last allowed, Unix seconds; of the models that were used last.
    """

    windows: Count = 0
    usual: Annotated[dict[Label, Usual], Field(max_length=16)] = Field(default_factory=dict)
    pairs: Pairs = Pairs()
    networks: Networks = Networks()
    hours: Hours = Hours()
    used: Annotated[dict[Mark, Timestamp], Field(max_length=USES)] = Field(default_factory=dict)


class AccessScores:
    """Scores windows; remembers what peers showed lately, by segment."""

    def __init__(self) -> None:
        self._lately = Lately(MEASURES)

    def score(self, closed: Closed, profiles: Mapping[str, RequestProfile]) -> dict[str, tuple[Scored, RequestProfile]]:
        """Return what a window says of each of its subjects, and what is to be kept of them after it.

        Args:
            closed: the window.
            profiles: what was kept of its subjects; those that nothing is known of are absent.
        """
        found: dict[str, tuple[Scored, RequestProfile]] = {}
        for segment in sorted({window.segment for window in closed.subjects.values()}):
            windows = {name: window for name, window in closed.subjects.items() if window.segment == segment}
            readings = {
                name: {RATE.name: RATE.scaled(window.requests * 60.0 / closed.seconds)}
                for name, window in windows.items()
            }
            peers = self._lately.centres(segment, list(readings.values()))
            for name, window in windows.items():
                profile = profiles.get(name) or RequestProfile()
                found[name] = _one(window, readings[name], profile, peers, closed.started_at)
        return found


def _one(
    window: Window, readings: Readings, profile: RequestProfile, peers: Mapping[str, Centre], time: float
) -> tuple[Scored, RequestProfile]:
    parts = compared(MEASURES, readings, profile.usual, peers) + _circumstances(window, profile, time)
    after = RequestProfile(
        windows=min(_MOST_WINDOWS, profile.windows + 1),
        usual=learnt(MEASURES, readings, profile.usual, peers),
        pairs=profile.pairs.with_(frozenset(window.pairs)),
        networks=profile.networks.with_(frozenset(window.networks)),
        hours=profile.hours.with_(time),
        used=latest(profile.used, window.used),
    )
    return scored(parts, peers, PATTERNS), after


def _circumstances(window: Window, profile: RequestProfile, time: float) -> list[Part]:
    mature = profile.windows / (profile.windows + _MATURE_WINDOWS)
    hours = profile.hours.total / (profile.hours.total + _MATURE_HOURS)
    new = sum(count for pair, count in window.pairs.items() if not profile.pairs.holds(pair))
    surprise = sum(count * profile.networks.surprise(network) for network, count in window.networks.items())
    found = {
        "new_network": mature * surprise / max(1, window.networks.total()),
        "off_hours": hours * profile.hours.surprise(time),
        "new_pairs": mature * new / (window.requests + _UNHURRIED),
        "denials": _HALF * window.denied / (window.requests + _UNHURRIED),
    }
    total = sum(found.values())
    excess = _STEEPNESS * (total - _TOLERATED)
    if excess <= 0.0:
        return []
    return [Part(name, excess * value / total, value, 0.0) for name, value in found.items() if value > 0.0]
