"""One policy of roles and attributes, a world that it is about, and what it says, worked out here once more.

A device may do an action to a model where its role grants that action, it is in the model's segment, its clearance
reaches the model's sensitivity, it is trusted enough, and the model's window is open.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ACTIONS = ("model_access", "gradient_submission", "inference")
GRANTS: Mapping[str, frozenset[str]] = {
    "trainer": frozenset({"model_access", "gradient_submission"}),
    "consumer": frozenset({"model_access", "inference"}),
    "aggregator": frozenset({"model_access", "gradient_submission"}),
    "gateway": frozenset({"inference"}),
}
CLEARANCES: Mapping[str, int] = {"trainer": 2, "consumer": 1, "aggregator": 3, "gateway": 2}
SEGMENTS = ("homes", "core")
REQUIREMENTS = ("role", "segment", "sensitivity", "trust", "opens", "closes")
MODELS = 48
YEAR = 365 * 86_400.0


@dataclass(frozen=True)
class Party:
    """A device: its place among the askers, role, segment and trust."""

    place: int
    role: str
    segment: str
    trust: float

    @property
    def name(self) -> str:
        """By which engines know it that do not name devices after their keys."""
        return f"device-{self.place}"


@dataclass(frozen=True)
class Model:
    """What is asked for, and what it asks of a device; ``opens`` and ``closes`` are Unix seconds."""

    name: str
    segment: str
    sensitivity: int
    trust_minimum: float
    opens: float
    closes: float

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything but its name."""
        return {name: value for name, value in vars(self).items() if name != "name"}


@dataclass(frozen=True)
class Asked:
    """One question."""

    party: Party
    action: str
    model: Model
    time: float

    @property
    def missing(self) -> frozenset[str]:
        """What the policy requires and is not so."""
        met = {
            "role": self.action in GRANTS[self.party.role],
            "segment": self.party.segment == self.model.segment,
            "sensitivity": self.model.sensitivity <= CLEARANCES[self.party.role],
            "trust": self.party.trust >= self.model.trust_minimum,
            "opens": self.model.opens <= self.time,
            "closes": self.time < self.model.closes,
        }
        return frozenset(name for name, is_met in met.items() if not is_met)

    @property
    def expected(self) -> bool:
        """What the policy says."""
        return not self.missing


@dataclass(frozen=True)
class World:
    """Everything that questions are about."""

    parties: Sequence[Party]
    models: Sequence[Model]
    now: float

    def data(self) -> dict[str, Any]:
        """The policy's data, for engines that keep models beside it."""
        return {
            "clearances": dict(CLEARANCES),
            "grants": {role: dict.fromkeys(sorted(actions), True) for role, actions in GRANTS.items()},
            "models": {one.name: one.attributes for one in self.models},
        }

    def questions(self, count: int, seed: int) -> list[Asked]:
        """Return questions: the k-th is of the k-th party, in turn.

        About half of them are allowed. Most others lack one thing alone, so that whoever forgets it answers otherwise.
        """
        chance = random.Random(seed)
        return [self._question(chance, self.parties[place % len(self.parties)]) for place in range(count)]

    def _question(self, chance: random.Random, party: Party) -> Asked:
        every = [Asked(party, action, model, self.now) for action in ACTIONS for model in self.models]
        wanted = frozenset[str]() if chance.random() < 0.5 else frozenset({chance.choice(REQUIREMENTS)})
        return chance.choice([one for one in every if one.missing == wanted] or every)


def world(parties: int, seed: int, now: float | None = None) -> World:
    """Return a world with so many devices; times are about ``now`` (Unix seconds)."""
    chance, at = random.Random(seed), time.time() if now is None else now
    roles = list(GRANTS)
    devices = [
        Party(place, roles[place % len(roles)], chance.choice(SEGMENTS), chance.choice((0.3, 0.5, 0.7, 0.9)))
        for place in range(parties)
    ]
    return World(devices, [_model(chance, place, at) for place in range(MODELS)], at)


def _model(chance: random.Random, place: int, now: float) -> Model:
    # An end long past is a window that is shut; a policy that forgets the window answers otherwise.
    opens, closes = chance.choice(((-YEAR, YEAR), (-YEAR, YEAR), (-YEAR, YEAR), (-2 * YEAR, -YEAR), (YEAR, 2 * YEAR)))
    sensitivity, least = chance.choice((1, 1, 2, 2, 3)), chance.choice((0.3, 0.5, 0.7))
    return Model(f"model-{place}", SEGMENTS[place % 2], sensitivity, least, now + opens, now + closes)
