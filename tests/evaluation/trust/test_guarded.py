"""One small cell as it is measured: a real control plane with OPA, enrolled devices, the shipped policies."""

from collections import Counter
from dataclasses import replace

import pytest

from evaluation.federation.memory import Memory
from evaluation.federation.plan import QUICK
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining
from evaluation.trust.fields import Field
from evaluation.trust.guarded import NOT_LET_IN, run_guarded
from evaluation.trust.measures import measures
from evaluation.trust.results import Cell, Guarded
from evaluation.trust.unguarded import run_unguarded

SMALL = replace(QUICK, rounds=4, local=LocalTraining(rate=2.0, adapter_rate=0.2, examples=24))
CELL = Cell(scenario="boosted_backdoor", skew=0.5, seed=0)


@pytest.fixture(scope="module")
def field(task: Task) -> Field:
    return Field(task, SMALL, 0.5, Memory())


@pytest.fixture(scope="module")
def found(field: Field) -> Guarded:
    return run_guarded(field, CELL, "r")


def test_every_device_is_seen_in_every_round(found: Guarded, task: Task) -> None:
    assert Counter(seen.device for seen in found.sightings) == dict.fromkeys(range(20), SMALL.rounds)
    assert {seen.device for seen in found.sightings if seen.is_attacking} == set(task.attacks)
    assert len(found.attack_successes) == SMALL.rounds


def test_the_backdoor_gets_in_without_a_guard_and_not_with_one(field: Field, found: Guarded) -> None:
    assert run_unguarded(field, CELL, "r").attack_success > 0.9
    assert found.attack_success < 0.1


def test_attackers_are_quarantined_with_a_reason_and_from_then_on_get_nothing(found: Guarded) -> None:
    measured = measures(found.sightings)
    assert measured.caught == 4
    caught = [seen for seen in found.sightings if seen.is_attacking and seen.state == "quarantined"]
    first = {seen.device: seen for seen in reversed(caught)}
    assert all(seen.attack and seen.sentence and seen.p_value is not None for seen in first.values())
    assert {seen.cause for seen in caught if seen is not first[seen.device]} <= {NOT_LET_IN}
    assert not any(seen.accepted for seen in caught)


def test_what_an_accepted_update_lacks_is_a_cause(found: Guarded) -> None:
    assert all(bool(seen.cause) != seen.accepted for seen in found.sightings)
