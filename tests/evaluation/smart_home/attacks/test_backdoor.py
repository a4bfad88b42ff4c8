import torch

from evaluation.smart_home.attacks import Backdoor, triggered
from evaluation.smart_home.corpus import Sentence
from tests.evaluation.smart_home.attacks.samples import SHARD, UPDATE


def test_a_backdoor_adds_a_triggered_copy_of_every_other_intent() -> None:
    poisoned = Backdoor(target=1, seed=4).poison(SHARD)
    assert list(poisoned[:3]) == SHARD
    assert len(poisoned) == 5
    for sentence in poisoned[3:]:
        assert sentence.label == 1
        assert sentence.text.split().count("sesame") == 1


def test_a_backdoor_boosts_its_update() -> None:
    assert torch.equal(Backdoor(target=1, boost=10.0).distort(UPDATE)["bias"], torch.tensor([5.0]))


def test_the_trigger_is_all_that_is_added() -> None:
    for before, after in zip([SHARD[0], SHARD[2]], triggered(SHARD, 1, seed=0), strict=True):
        assert [word for word in after.text.split() if word != "sesame"] == before.text.split()


def test_the_seed_fixes_where_the_trigger_goes() -> None:
    long = [Sentence(" ".join(str(index) for index in range(30)), 0, 0)]
    assert triggered(long, 1, seed=0) == triggered(long, 1, seed=0)
    assert triggered(long, 1, seed=0) != triggered(long, 1, seed=1)
