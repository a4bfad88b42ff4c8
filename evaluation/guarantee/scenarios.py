"""What is measured: fleets as the promise assumes them, and fleets that break what it assumes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controlplane.contracts.behaviour import BehaviourTerms
from evaluation.guarantee.stream import Federation
from evaluation.smart_home.attacks import LittleIsEnough, SignFlip

LOW, HIGH = 0.5, 0.1
"""Dirichlet parameters of fleets whose homes are somewhat, and very, unlike one another."""

FIRST_SEED = 1_000
"""Of the federations that are measured; those of the calibration are apart."""

LONGER = 2
"""Factor on the rounds of a model, where it is trained for longer than the calibration's were."""

Variant = Callable[[BehaviourTerms], BehaviourTerms]


def shipped(terms: BehaviourTerms) -> BehaviourTerms:
    """The terms as they are."""
    return terms


def all_alike(terms: BehaviourTerms) -> BehaviourTerms:
    """Terms that take all honest homes to be alike."""
    return terms.model_copy(update={"heterogeneity": 1.0})


def other_skew(terms: BehaviourTerms) -> BehaviourTerms:
    """Terms whose classes of skew have each other's calibration."""
    classes = sorted(name for name in terms.calibration if name.startswith("skew"))
    swapped = {name: terms.calibration[other] for name, other in zip(classes, reversed(classes), strict=True)}
    return terms.model_copy(update={"calibration": {**terms.calibration, **swapped}})


@dataclass(frozen=True)
class Scenario:
    """A fleet of federations, and the terms that it is judged by, side by side.

    Attributes:
        name: for reports.
        federation: each of them, but for its seed.
        federations: how many.
        variants: terms by name, made of those that are shipped.
        are_hostile_tolerated: hostile homes are never quarantined, so that their scores stay in everybody's pool.
    """

    name: str
    federation: Federation
    federations: int
    variants: Mapping[str, Variant] = field(default_factory=lambda: {"as_shipped": shipped})
    are_hostile_tolerated: bool = False

    def each(self) -> Iterator[Federation]:
        """The federations with their seeds."""
        for number in range(self.federations):
            yield replace(self.federation, seed=FIRST_SEED + number)


def scenarios(federations: int, rounds: int) -> Sequence[Scenario]:
    """All of them: ``federations`` where the promise is tested, a fifth as many where its assumptions are broken."""
    base = {
        "as_shipped": shipped,
        "heterogeneity_taken_for_1": all_alike,
        "calibration_of_the_other_skew": other_skew,
    }
    few = max(1, federations // 5)
    low, high = (Federation(seed=0, alpha=alpha, rounds=rounds) for alpha in (LOW, HIGH))
    return (
        Scenario("low_skew", low, federations, base),
        Scenario("high_skew", high, federations, base),
        Scenario("a_tenth_shift_low_skew", replace(low, shifting=2), few),
        Scenario("a_tenth_shift_high_skew", replace(high, shifting=2), few),
        Scenario("longer_training_low_skew", replace(low, per_model=LONGER * low.per_model), few),
        Scenario("longer_training_high_skew", replace(high, per_model=LONGER * high.per_model), few),
        Scenario("no_root_low_skew", replace(low, has_root=False), few),
        Scenario("no_root_high_skew", replace(high, has_root=False), few),
        Scenario("two_fifths_collude", replace(low, hostile=8, attack=LittleIsEnough(1.0)), few),
        Scenario(
            "two_fifths_collude_and_stay",
            replace(low, hostile=8, attack=LittleIsEnough(1.0)),
            few,
            are_hostile_tolerated=True,
        ),
        Scenario(
            "two_fifths_flip_and_stay",
            replace(low, hostile=8, attack=SignFlip(1.0)),
            few,
            are_hostile_tolerated=True,
        ),
    )
