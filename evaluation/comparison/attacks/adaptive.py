"""An attacker that knows this system's screening, and sends the most harm that it lets pass.

It has the code and the shipped policies: it measures its candidates beside the honest updates as the guard would
(`adapters.screening`), judges them as the control plane would (`controlplane.behavior`, with the shipped calibration),
and goes as far towards its goal as the bounds and the p-value of admission allow. What it cannot know is the guard's
secret projection, so it uses one of its own; nor the server's trusted examples, so it takes the honest mean for what
they yield; nor what the control plane remembers of anyone. For what it does not know it leaves a margin.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, Self

from torch import Tensor

from adapters.screening import Manifest, screen
from controlplane.behavior import Judge, Known
from controlplane.contracts.behaviour import BehaviourTerms
from controlplane.sidecar.folders import product_folder
from evaluation.comparison.attacks.harm import harmful
from evaluation.comparison.defences.screening import Bounds
from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.attacks.vectors import flat, shaped, stacked
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

Goal = Literal["undo", "own"]

NEWCOMER = Known(None, "homes")


@dataclass(frozen=True)
class Shipped:
    """What anybody can read of the policies that are shipped.

    Attributes:
        bounds: of an update's evidence.
        judge: with the shipped terms and calibration.
        p_minimum: the p-value that an update must exceed.
    """

    bounds: Bounds
    judge: Judge
    p_minimum: float

    @classmethod
    @cache
    def read(cls) -> Self:
        """Read it, once."""
        data = product_folder("policies") / "data"
        terms = BehaviourTerms.model_validate_json((data / "behaviour" / "data.json").read_bytes())
        limits = json.loads((data / "limits" / "data.json").read_text())
        return cls(Bounds.shipped(), Judge(terms), float(limits["behaviour"]["p_minimum"]))


@dataclass
class Found:
    """How far one round's colluders go; worked out once for all of them.

    Attributes:
        honest: the honest updates that it was worked out for.
        reach: of each hostile device, in [0, 1].
    """

    honest: Sequence[Update] = ()
    reach: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Adaptive:
    """All hostile devices of a federation, who share what they found.

    Attributes:
        goal: ``undo`` goes from its own honest training towards undoing all that was learnt, at its own length;
            ``own`` from the honest mean towards what its own, poisoned training yielded, and beyond.
        boost: how far ``own`` goes at most, as a multiple of the way.
        caution: by how much more plausible it stays than it has to: its p-value over the least one that is admitted.
        steps: halvings of the way.
        seed: of its screening.
        found: of the last round.
    """

    goal: Goal = "undo"
    boost: float = 3.0
    caution: float = 2.0
    steps: int = 5
    seed: int = 1
    found: Found = field(default_factory=Found, compare=False)

    @property
    def name(self) -> str:
        """A word for reports."""
        return "adaptive"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the update moved as far as passes; as it is where hardly anything does."""
        mean = stacked(known.honest).double().mean(0)
        harm = harmful(known)
        if self.found.honest is not known.honest:
            self.found.reach = self._reach(known.allies or {known.device: update}, known.honest, mean, harm)
            self.found.honest = known.honest
        return self._moved(update, mean, harm, self.found.reach.get(known.device, 0.0))

    def _reach(
        self, allies: Mapping[int, Update], honest: Sequence[Update], mean: Tensor, harm: Tensor
    ) -> dict[int, float]:
        """How far each goes: as far as it passed, of a few steps that all take at the same time."""
        lowest, highest = dict.fromkeys(allies, 0.0), dict.fromkeys(allies, 1.0)
        for _ in range(self.steps):
            tried = {device: 0.5 * (lowest[device] + highest[device]) for device in allies}
            sent = {device: self._moved(update, mean, harm, tried[device]) for device, update in allies.items()}
            passing = self._passing(sent, honest, mean)
            lowest |= {device: tried[device] for device in passing}
            highest |= {device: tried[device] for device in allies.keys() - passing}
        return lowest

    def _moved(self, update: Update, mean: Tensor, harm: Tensor, reach: float) -> Update:
        own = flat(update).double()
        if self.goal == "own":
            return shaped((mean + self.boost * reach * (own - mean)).float(), update)
        moved = (1.0 - reach) * own + reach * own.norm() * harm
        return shaped((moved * own.norm() / moved.norm().clamp_min(1e-30)).float(), update)

    def _passing(self, candidates: Mapping[int, Update], honest: Sequence[Update], mean: Tensor) -> set[int]:
        """Whose candidate would be admitted beside the others and the honest updates."""
        names = {f"hostile {device}": device for device in candidates}
        cohort = {f"honest {place}": one for place, one in enumerate(honest)}
        cohort |= {name: candidates[device] for name, device in names.items()}
        reference = shaped(mean.float(), honest[0])
        examples = dict.fromkeys(cohort, 1)
        evidence = screen(cohort, Manifest.of(reference), reference=reference, examples=examples, seed=self.seed)
        shipped = Shipped.read()
        judged = shipped.judge.updates(evidence, dict.fromkeys(names, NEWCOMER), {}, 0.0)
        return {
            device
            for name, device in names.items()
            if not shipped.bounds.broken(evidence[name])
            and ((least := judged[name].admission_p_value) is None or least > self.caution * shipped.p_minimum)
        }


UNDOING = Adaptive()
"""Settings that `evaluation.comparison.tuning` picked: ``adaptive``."""

PURSUING = Adaptive("own", boost=1.5)
"""Settings that `evaluation.comparison.tuning` picked: ``adaptive_backdoor``."""
