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
def test_strengths_are_tried_until_one_costs_five_points(field: Field, name: str) -> None:
    steps = TUNED[name].steps
    assert [strength for strength, _ in tune(field, name, clean=1.0)] == [steps[0]]
    assert [strength for strength, _ in tune(field, name, clean=0.0)] == list(steps)
    assert all(lost >= 5.0 for _, lost in tune(field, name, clean=1.0))
