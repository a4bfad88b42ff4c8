import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.smart_home.attacks.vectors import flat, jittered, shaped, stacked
from tests.evaluation.smart_home.attacks.samples import UPDATE, updates


def test_a_vector_takes_the_shape_back_that_it_came_from() -> None:
    again = shaped(flat(UPDATE), UPDATE)
    assert again.keys() == UPDATE.keys()
    assert all(torch.equal(again[name], UPDATE[name]) for name in UPDATE)


def test_rows_are_in_the_order_of_the_updates() -> None:
    rows = stacked([UPDATE, {name: 2 * value for name, value in UPDATE.items()}])
    assert torch.equal(rows[1], 2 * rows[0])
    with pytest.raises(ValueError, match="needs to know"):
        stacked([])


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0.0, 3.0), seed=st.integers(0, 1000))
def test_noise_is_as_long_as_its_share_says_and_the_seed_fixes_it(share: float, seed: int) -> None:
    vector = flat(updates(1)[0])
    once = jittered(vector, share, seed, 1)
    assert float((once - vector).norm()) == pytest.approx(share * float(vector.norm()), rel=1e-3, abs=1e-5)
    assert torch.equal(once, jittered(vector, share, seed, 1))
    assert share == 0.0 or not torch.equal(once, jittered(vector, share or 1.0, seed, 2)) or share < 1e-6
