"""How far a subject's use of a model, as a gateway reports it, is unlike its peers' and its own.

Peers are those who use the same model from the same segment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from controlplane.behavior.requests.familiar import Mark, mark_of
from controlplane.behavior.requests.likeness import Patterns, Scored, scored
from controlplane.behavior.requests.measures import BURST, Lately, Measure, Usual, compared, learnt
from controlplane.contracts.base import Label, StrictModel, Timestamp
from controlplane.contracts.signals import InferenceSignals

MEASURES = (
    Measure("queries", spread=0.5, tolerance=BURST, is_amount=True),
    Measure("tokens", spread=0.5, tolerance=BURST, is_amount=True),
    Measure("distinct_queries", spread=0.5, tolerance=BURST, is_amount=True),
    Measure("coverage", spread=0.05),
    Measure("repeated_queries", spread=0.2),
    Measure("near_duplicates", spread=0.15),
    Measure("crowding", spread=0.1),
    Measure("injections", spread=0.35, tolerance=2.0, is_amount=True, is_excused=False),
)

PATTERNS: Patterns = {
    "extraction": {"coverage": 1.0, "distinct_queries": 1.0, "queries": 0.6, "tokens": 0.4},
    "membership_inference": {
        "near_duplicates": 1.0,
        "crowding": 1.0,
        "queries": 0.4,
        "repeated_queries": 0.4,
        "distinct_queries": 0.3,
    },
    "prompt_injection": {"injections": 1.0},
    "overuse": {"queries": 1.0, "tokens": 1.0, "repeated_queries": 0.5},
}

OLDEST_SECONDS = 3600.0
"""How long after its end a window still counts."""

LONGEST_SECONDS = 3600.0
"""Of a window, as `controlplane.contracts.signals` has them."""

AHEAD_SECONDS = 60.0
"""How far ahead a gateway's clock may be."""

Value = TypeVar("Value")

_MODELS = 4
_REPORTERS = 32
_UNHURRIED = 2.0


class UseProfile(StrictModel):
    """What is kept of how a subject uses models; constant in size, three kilobytes.

    Attributes:
        usual: by model and measure; of the models that were used last.
        until: up to when gateways have reported, by gateway and model, Unix seconds; while that makes a difference.
    """

    usual: Annotated[dict[Mark, dict[Label, Usual]], Field(max_length=_MODELS)] = Field(default_factory=dict)
    until: Annotated[dict[Mark, Timestamp], Field(max_length=_REPORTERS)] = Field(default_factory=dict)

    def is_fresh(self, reporter: str, signals: InferenceSignals, now: float) -> bool:
        """Whether a window counts: nothing of its time was reported by that gateway before, and it is of today.

        Otherwise a gateway could have one hour count as many. Where there is no room to remember who reported, nothing
        more counts: room that is made by forgetting is room to report anew.
        """
        ends_at, name = signals.started_at + signals.seconds, _between(reporter, signals.model)
        is_recent = now - OLDEST_SECONDS <= ends_at <= now + AHEAD_SECONDS
        has_room = name in self.until or len(_live(self.until, now)) < _REPORTERS
        return is_recent and has_room and signals.started_at >= self.until.get(name, 0.0)

    def after(self, model: str, usual: Mapping[str, Usual], reporter: str, until: float) -> "UseProfile":
        """Return the profile with what is usual from now on; ``until`` is where a window that counts has ended."""
        return UseProfile(
            usual=_last(self.usual, mark_of(model), dict(usual), _MODELS),
            until=_last(_live(self.until, until - AHEAD_SECONDS), _between(reporter, model), until, _REPORTERS),
        )


@dataclass(frozen=True, slots=True)
class Reported:
    """A window that counts.

    Attributes:
        signals: the numbers.
        segment: where the subject lives.
        profile: what was kept of it.
    """

    signals: InferenceSignals
    segment: str
    profile: UseProfile

    @property
    def peers(self) -> str:
        """The class of comparable peers."""
        return f"{self.segment}.{self.signals.model}"[:128]


class InferenceScores:
    """Scores windows; remembers what peers showed lately, by segment and model."""

    def __init__(self) -> None:
        self._lately = Lately(MEASURES)

    def score(self, reporter: str, reported: Sequence[Reported]) -> list[tuple[Scored, UseProfile]]:
        """Return what each window says of its subject, and what is to be kept of it after that, in order.

        Args:
            reporter: the gateway.
            reported: one window for each subject and model at most.
        """
        readings = [_readings(one.signals) for one in reported]
        classes: dict[str, list[int]] = {}
        for at, one in enumerate(reported):
            classes.setdefault(one.peers, []).append(at)
        found: dict[int, tuple[Scored, UseProfile]] = {}
        for peers, members in classes.items():
            centres = self._lately.centres(peers, [readings[at] for at in members])
            for at in members:
                one = reported[at]
                model, ends_at = one.signals.model, one.signals.started_at + one.signals.seconds
                usual = one.profile.usual.get(mark_of(model), {})
                parts = compared(MEASURES, readings[at], usual, centres)
                after = learnt(MEASURES, readings[at], usual, centres)
                found[at] = scored(parts, centres, PATTERNS), one.profile.after(model, after, reporter, ends_at)
        return [found[at] for at in range(len(reported))]


def _between(reporter: str, model: str) -> str:
    return mark_of(f"{reporter} {model}")


def _readings(signals: InferenceSignals) -> dict[str, float]:
    a_minute = 60.0 / signals.seconds
    sure = signals.queries / (signals.queries + _UNHURRIED)
    values = {
        "queries": signals.queries * a_minute,
        "tokens": (signals.prompt_tokens + signals.answer_tokens) * a_minute,
        "distinct_queries": signals.distinct * a_minute,
        "coverage": signals.coverage,
        "repeated_queries": signals.repeated * sure,
        "near_duplicates": signals.near_duplicates * sure,
        "crowding": signals.crowding * sure,
        "injections": float(signals.injections),
    }
    return {measure.name: measure.scaled(values[measure.name]) for measure in MEASURES}


def _live(until: Mapping[str, float], now: float) -> dict[str, float]:
    """Return what still makes a difference: whatever begins before the others is too old to count anyway."""
    return {name: ended for name, ended in until.items() if ended >= now - OLDEST_SECONDS - LONGEST_SECONDS}


def _last(kept: Mapping[str, Value], name: str, value: Value, most: int) -> dict[str, Value]:
    others = [(other, one) for other, one in kept.items() if other != name]
    return dict([*others[1 - most :], (name, value)])
