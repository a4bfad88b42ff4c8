"""A stream is the same for the same seed, and what breaks an assumption changes only whom it should."""

from dataclasses import replace

import torch

from evaluation.guarantee.fleet import Data
from evaluation.guarantee.stream import Federation, evidence
from evaluation.smart_home.attacks import SignFlip

SMALL = Federation(seed=5, alpha=0.5, homes=6, rounds=3, per_model=2)


def test_the_same_seed_gives_the_same_evidence(data: Data) -> None:
    torch.set_num_threads(1)
    assert list(evidence(data, SMALL)) == list(evidence(data, SMALL))


def test_every_home_is_measured_in_every_round(data: Data) -> None:
    stream = list(evidence(data, SMALL))
    assert len(stream) == SMALL.rounds
    assert all(set(cohort) == set(SMALL.names) for cohort in stream)
    assert {one.reference for one in stream[0].values()} == {"root"}
    assert all(one.concentration is not None for one in stream[0].values())


def test_without_a_root_updates_are_compared_with_one_another(data: Data) -> None:
    cohort = next(evidence(data, replace(SMALL, has_root=False)))
    assert {one.reference for one in cohort.values()} == {"centre"}


def test_a_model_is_learnt_anew(data: Data) -> None:
    norms = [sum(one.norm for one in cohort.values()) for cohort in evidence(data, replace(SMALL, rounds=4))]
    assert norms[0] > norms[1]
    assert norms[2] > norms[1]


def test_data_shift_half_way_and_only_of_those_who_shift(data: Data) -> None:
    still = list(evidence(data, replace(SMALL, rounds=4)))
    shifted = list(evidence(data, replace(SMALL, rounds=4, shifting=1)))
    digests = [
        {name for name in SMALL.names if one[name].update_digest != other[name].update_digest}
        for one, other in zip(still, shifted, strict=True)
    ]
    assert digests[0] == digests[1] == set()
    assert digests[2] == {SMALL.names[0]}


def test_hostile_homes_send_what_their_attack_makes_of_it(data: Data) -> None:
    federation = replace(SMALL, hostile=2, attack=SignFlip(1.0))
    cohort = next(evidence(data, federation))
    assert all(cohort[name].cosine > 0.0 for name in federation.honest)
    assert all(cohort[name].cosine < 0.0 for name in set(federation.names) - set(federation.honest))
