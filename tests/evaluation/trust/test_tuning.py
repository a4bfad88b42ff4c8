from dataclasses import replace

import pytest

from evaluation.federation.memory import Memory
from evaluation.federation.plan import QUICK
from evaluation.smart_home.task import Task
from evaluation.smart_home.training import LocalTraining
from evaluation.trust.fields import Field
from evaluation.trust.scenarios import TUNED
from evaluation.trust.tuning import tune


@pytest.fixture(scope="module")
def field(task: Task) -> Field:
    return Field(task, replace(QUICK, rounds=1, local=LocalTraining(examples=8)), 0.5, Memory())


@pytest.mark.parametrize("name", TUNED)
def test_the_first_strength_that_costs_five_points_is_the_last_that_is_tried(field: Field, name: str) -> None:
    [(strength, lost)] = tune(field, name, clean=1.0)
    assert strength == TUNED[name].steps[0]
    assert lost >= 5.0


def test_strengths_are_tried_from_the_weakest_on_while_none_costs_five_points(field: Field) -> None:
    assert [strength for strength, _ in tune(field, "sign_flip", clean=0.0)] == list(TUNED["sign_flip"].steps)
