"""Made-up traffic for simulations: honest subjects with Poisson rates and a daily rhythm, and how they are judged."""

import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from controlplane.behavior import Judge, Known, Peer
from controlplane.behavior.requests import AccessScores, Observation, RequestProfile, Scored, Windows
from controlplane.contracts.behaviour import BehaviourRecord, BehaviourTerms, Channel

ROOT = Path(__file__).resolve().parents[4]
MONDAY = 1_767_571_200.0
"""Midnight, UTC."""

WINDOW = 60.0
POOL = 2048


@cache
def terms() -> BehaviourTerms:
    """The terms that are shipped."""
    return BehaviourTerms.model_validate_json((ROOT / "policies/data/behaviour/data.json").read_bytes())


def alpha() -> float:
    """The shipped bound on the chance that an honest subject is ever quarantined."""
    found: float = json.loads((ROOT / "policies/data/limits/data.json").read_bytes())["behaviour"]["alpha"]
    return found


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson draw (Knuth); of a large mean its normal approximation."""
    if mean > 50.0:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, product, least = 0, chance.random(), math.exp(-mean)
    while product > least:
        count, product = count + 1, product * chance.random()
    return count


@dataclass
class Household:
    """One honest device: busy by day, silent by night, at its own pace; sometimes in a burst."""

    name: str
    chance: random.Random
    pace: float
    bursts: bool = False
    in_burst: int = 0

    def asks(self, now: float) -> list[Observation]:
        """Its requests in the window that begins at ``now``."""
        day = max(0.0, math.cos(((now % 86_400.0) / 3600.0 - 15.0) / 24.0 * 2.0 * math.pi) + 0.3)
        if self.bursts:
            self.in_burst = max(0, self.in_burst - 1) or (20 if self.chance.random() < 0.0005 else 0)
        mean = self.pace * day * (6.0 if self.in_burst else 1.0)
        return [self._ask(now + 1.0) for _ in range(poisson(self.chance, mean))]

    def _ask(self, now: float) -> Observation:
        action = self.chance.choices(["inference", "model_access"], [4, 1])[0]
        model, host = self.chance.choice("ab"), self.chance.randrange(250)
        is_allowed = self.chance.random() > 0.02
        return Observation(now, self.name, "homes", action, f"model-{model}", f"10.20.0.{host}", is_allowed)


def fleet(size: int, seed: int, *, spread: float = 0.5, bursts: bool = False) -> list[Household]:
    """Honest devices with log-normal paces around two requests a minute."""
    chance = random.Random(seed)
    return [
        Household(
            f"home-{number}", random.Random(chance.random()), math.exp(chance.gauss(math.log(2.0), spread)), bursts
        )
        for number in range(size)
    ]


@dataclass
class Bench:
    """Judges observations as the control plane does, but for the store and for policy."""

    channel: Channel
    judge: Judge = field(default_factory=lambda: Judge(terms()))
    records: dict[str, BehaviourRecord] = field(default_factory=dict)
    pool: deque[Peer] = field(default_factory=lambda: deque(maxlen=POOL))
    apart: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Whoever was set apart: when, and the attack that was named."""

    remarkable: int = 0

    def observe(self, found: Iterable[tuple[str, Scored]], now: float) -> None:
        """Judge a window's scores."""
        kept = []
        comparable = [peer for peer in self.pool if peer.subject not in self.apart]
        pool = self.judge.pool(self.channel, "homes", comparable)
        for name, scored in found:
            if scored.score is None or name in self.apart:
                continue
            known = Known(self.records.get(name), "homes")
            judged = self.judge.observation(
                self.channel, name, scored.score, "homes", pool, known, scored.attribution, now
            )
            self.records[name] = judged.record
            self.remarkable += scored.score > 0.0
            kept.append(Peer(name, scored.score))
            if judged.e_value >= 1.0 / alpha():
                self.apart[name] = now, scored.attribution.attack if scored.attribution else ""
        self.pool.extend(kept)


def requests(
    homes: Iterable[Household],
    minutes: int,
    *,
    begin: float = MONDAY,
    attack: Callable[[float], list[Observation]] = lambda _now: [],
    bench: Bench | None = None,
    profiles: dict[str, RequestProfile] | None = None,
    scores: AccessScores | None = None,
) -> Bench:
    """Let devices ask for so many minutes, and judge every window."""
    bench, scores = bench or Bench("access"), scores or AccessScores()
    profiles = {} if profiles is None else profiles
    windows = Windows(WINDOW)
    everybody = list(homes)
    for minute in range(minutes):
        now = begin + minute * WINDOW
        asked = [seen for home in everybody for seen in home.asks(now)] + attack(now)
        for seen in asked:
            if seen.subject not in bench.apart:
                windows.fold(seen)
        closed = windows.close(now + WINDOW)
        if closed is None:
            continue
        found = scores.score(closed, profiles)
        profiles |= {name: profile for name, (_, profile) in found.items()}
        bench.observe(((name, scored) for name, (scored, _) in found.items()), now)
    return bench
