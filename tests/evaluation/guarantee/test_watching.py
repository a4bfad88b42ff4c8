"""A watch judges as the control plane does: a window of peers, quarantined ones left out."""

import random

from controlplane.contracts.evidence import UpdateEvidence
from evaluation.guarantee.watching import Watch
from tests.controlplane.behavior.cohorts import TERMS, evidence, homes

Cohort = dict[str, UpdateEvidence]
HOSTILE = {"norm_ratio": 9.0, "cosine": -0.3}


def rounds(count: int, hostile: int = 1) -> list[Cohort]:
    return [
        {**homes(16, number), **{f"bad-{index}": evidence(**HOSTILE) for index in range(hostile)}}
        for number in range(count)
    ]


def test_who_is_hostile_is_quarantined_once_and_honest_homes_are_not() -> None:
    watch = Watch(TERMS, 0.02)
    for cohort in rounds(6):
        watch.judge(cohort)
    assert set(watch.quarantined) == {"bad-0"}
    assert watch.quarantined["bad-0"] <= 3
    assert len(watch.exceeded["bad-0"]) == watch.quarantined["bad-0"]
    assert len(watch.exceeded["home-0"]) == 6


def test_who_is_tolerated_is_judged_on_and_stays_in_the_pool() -> None:
    watch = Watch(TERMS, 0.02, frozenset({"bad-0", "bad-1"}))
    for cohort in rounds(8, hostile=2):
        watch.judge(cohort)
    assert len(watch.exceeded["bad-0"]) == 8
    assert watch.exceeded["bad-0"][-1] > watch.exceeded["bad-0"][0]


def test_p_values_are_kept_without_the_factor_for_heterogeneity() -> None:
    watch = Watch(TERMS.model_copy(update={"heterogeneity": 4.0}), 0.02)
    watch.judge({**homes(16), "bad": evidence(**HOSTILE)})
    assert watch.exceeded["bad"] == [1.0 / (len(TERMS.calibration["any"]) + 1)]


def test_the_same_evidence_gives_the_same_quarantine_in_any_order() -> None:
    one, other = Watch(TERMS, 0.02), Watch(TERMS, 0.02)
    for cohort in rounds(5, hostile=3):
        names = list(cohort)
        random.Random(1).shuffle(names)
        one.judge(cohort)
        other.judge({name: cohort[name] for name in names})
    assert one.quarantined == other.quarantined
