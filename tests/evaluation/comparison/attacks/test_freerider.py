import pytest
import torch

from evaluation.comparison.attacks.freerider import FreeRider, last_step
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.attacks.vectors import flat
from evaluation.smart_home.training import Update
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

BEFORE = dict(enumerate(updates(6, seed=3)))
TRAINED = updates(1)[0]


def sent(kind: FreeRider, device: int = 0, turn: int = 2, first: bool = False) -> Update:
    return kind.distort(TRAINED, Knowledge(device, turn, updates(4), {}, () if first else (BEFORE,)))


def test_noise_is_as_long_in_each_tensor_as_the_last_global_step_and_points_elsewhere() -> None:
    step = last_step(Knowledge(history=[BEFORE]))
    assert step is not None
    found = sent(FreeRider())
    for name, value in step.items():
        assert float(found[name].norm()) == pytest.approx(float(value.norm()), rel=1e-4)
    assert abs(float(torch.nn.functional.cosine_similarity(flat(found), flat(step), dim=0))) < 0.4


def test_nothing_with_a_little_noise_has_a_hundredth_of_the_last_steps_length() -> None:
    step = last_step(Knowledge(history=[BEFORE]))
    assert step is not None
    found = float(flat(sent(FreeRider("zero"))).norm())
    assert found == pytest.approx(0.01 * float(flat(step).norm()), rel=1e-3)


def test_of_a_first_round_it_knows_nothing_and_sends_next_to_nothing() -> None:
    assert float(flat(sent(FreeRider(), first=True)).norm()) == pytest.approx(0.01, rel=1e-3)


def test_what_it_would_have_trained_is_not_in_what_it_sends() -> None:
    other = {name: torch.full_like(value, 7.0) for name, value in TRAINED.items()}
    known = Knowledge(1, 2, (), {}, (BEFORE,))
    assert torch.equal(flat(FreeRider().distort(TRAINED, known)), flat(FreeRider().distort(other, known)))
    assert FreeRider().poison(SHARD) == SHARD


def test_each_rider_and_each_round_has_noise_of_its_own() -> None:
    first, second, later = sent(FreeRider(), 1), sent(FreeRider(), 2), sent(FreeRider(), 1, 3)
    assert not torch.allclose(flat(first), flat(second))
    assert not torch.allclose(flat(first), flat(later))
    assert torch.equal(flat(first), flat(sent(FreeRider(), 1)))
