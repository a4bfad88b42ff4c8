"""The digest of an update: the same for the same values, another for any other."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.screening import Manifest, update_digest

STATE = {"a": torch.zeros(3, 2), "b": torch.zeros(2)}
MANIFEST = Manifest.of(STATE)


def update() -> dict[str, torch.Tensor]:
    return {"a": torch.arange(6.0).reshape(3, 2), "b": torch.tensor([1.0, -2.0])}


def test_order_and_memory_layout_do_not_matter() -> None:
    other = {"b": update()["b"].clone(), "a": update()["a"].T.contiguous().T}
    assert not other["a"].is_contiguous()
    assert update_digest(other, MANIFEST) == update_digest(update(), MANIFEST)


def test_it_has_the_form_of_a_content_digest() -> None:
    digest = update_digest(update(), MANIFEST)
    assert digest.startswith("sha256:")
    assert len(digest) == 7 + 64


@pytest.mark.parametrize(
    "other",
    [
        {**update(), "b": torch.tensor([1.0, -2.0000002])},
        {**update(), "b": torch.tensor([1.0, 2.0])},
        {**update(), "b": torch.tensor([1.0, -2.0], dtype=torch.float64)},
        {**update(), "b": torch.tensor([[1.0, -2.0]])},
        {**update(), "c": torch.tensor([0.0])},
        {"a": update()["a"]},
        {"a": update()["b"], "b": update()["a"]},
        {**update(), "b": None},
        {},
    ],
    ids=["value", "sign", "dtype", "shape", "more", "less", "swapped", "none", "empty"],
)
def test_another_update_has_another_digest(other: dict[str, Any]) -> None:
    assert update_digest(other, MANIFEST) != update_digest(update(), MANIFEST)


def test_zero_and_negative_zero_are_two_updates() -> None:
    one, other = {**update(), "b": torch.zeros(2)}, {**update(), "b": -torch.zeros(2)}
    assert update_digest(one, MANIFEST) != update_digest(other, MANIFEST)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=6), st.one_of(st.none(), st.integers(), st.floats(), st.binary(max_size=4)), max_size=4
    )
)
def test_whatever_is_sent_has_a_digest(other: dict[str, Any]) -> None:
    assert update_digest(other, MANIFEST) == update_digest(dict(reversed(other.items())), MANIFEST)


def test_a_manifest_needs_tensors_that_can_be_screened() -> None:
    for state in ({}, {"a": torch.zeros(2, dtype=torch.int64)}):
        with pytest.raises(ValueError, match="floating-point"):
            Manifest.of(state)
