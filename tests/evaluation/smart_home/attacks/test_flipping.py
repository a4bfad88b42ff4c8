import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.smart_home.attacks import LabelFlip, SignFlip
from tests.evaluation.smart_home.attacks.samples import SHARD, UPDATE


def test_a_sign_flip_trains_honestly_and_pushes_the_other_way() -> None:
    attack = SignFlip(scale=3.0)
    assert attack.poison(SHARD) == SHARD
    sent = attack.distort(UPDATE)
    assert torch.equal(sent["weight"], torch.tensor([[-3.0, 6.0]]))
    assert torch.equal(UPDATE["bias"], torch.tensor([0.5]))


@settings(deadline=None, max_examples=25)
@given(intents=st.integers(3, 100))
def test_a_label_flip_gets_every_label_wrong_and_no_text(intents: int) -> None:
    poisoned = LabelFlip(intents).poison(SHARD)
    assert [sentence.text for sentence in poisoned] == [sentence.text for sentence in SHARD]
    for before, after in zip(SHARD, poisoned, strict=True):
        assert after.label != before.label
        assert 0 <= after.label < intents


def test_a_label_flip_sends_what_its_training_yields() -> None:
    assert LabelFlip(3).distort(UPDATE) == UPDATE
