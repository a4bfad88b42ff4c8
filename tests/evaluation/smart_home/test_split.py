from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.smart_home.corpus import Corpus, Sentence, build_corpus
from evaluation.smart_home.split import Split, dirichlet_shards, split_by_template


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(0)


@pytest.fixture(scope="module")
def split(corpus: Corpus) -> Split:
    return split_by_template(corpus, 0, root_per_intent=4)


def sentences(count: int, labels: int) -> list[Sentence]:
    return [Sentence(f"sentence {index}", index % labels, index) for index in range(count)]


def test_no_template_of_the_test_is_trained_on(split: Split) -> None:
    held_out = {(sentence.label, sentence.template) for sentence in split.test}
    seen = {(sentence.label, sentence.template) for sentence in (*split.train, *split.root)}
    assert not held_out & seen


@pytest.mark.parametrize("seed", range(5))
def test_every_intent_is_trained_and_tested_and_the_root_set_is_never_the_larger(corpus: Corpus, seed: int) -> None:
    split = split_by_template(corpus, seed, root_per_intent=4)
    intents = set(range(len(corpus.intents)))
    assert {sentence.label for sentence in split.train} == {sentence.label for sentence in split.test} == intents
    train, root = (Counter(sentence.label for sentence in part) for part in (split.train, split.root))
    assert all(0 <= root[label] <= min(4, train[label]) for label in intents)


def test_train_and_root_share_nothing(split: Split) -> None:
    assert not set(split.train) & set(split.root)


def test_the_seed_decides_which_templates_are_held_out(corpus: Corpus, split: Split) -> None:
    assert split_by_template(corpus, 0, root_per_intent=4) == split
    assert split_by_template(corpus, 1, root_per_intent=4).test != split.test


@given(
    count=st.integers(20, 200),
    labels=st.integers(1, 12),
    devices=st.integers(1, 20),
    alpha=st.sampled_from([0.05, 0.5, 50.0]),
    copies=st.integers(1, 3),
    seed=st.integers(0, 1_000),
)
def test_shards_hold_every_sentence_and_no_device_holds_one_twice(
    count: int, labels: int, devices: int, alpha: float, copies: int, seed: int
) -> None:
    train = sentences(count, labels)
    shards = dirichlet_shards(train, devices, alpha=alpha, seed=seed, copies=copies)
    held = Counter(sentence for shard in shards for sentence in shard)
    assert set(held) == set(train)
    assert max(held.values()) <= copies
    assert all(len(shard) == len(set(shard)) for shard in shards)


def test_devices_hold_equally_many_within_one() -> None:
    sizes = [len(shard) for shard in dirichlet_shards(sentences(205, 10), 20, alpha=0.5, seed=3)]
    assert max(sizes) - min(sizes) <= 1


def test_a_small_alpha_gives_each_device_few_labels() -> None:
    def labels(alpha: float) -> float:
        shards = dirichlet_shards(sentences(1_000, 20), 10, alpha=alpha, seed=0)
        return sum(len({sentence.label for sentence in shard}) for shard in shards) / len(shards)

    assert labels(0.1) < labels(100.0) - 5


def test_too_few_sentences_or_copies_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot serve"):
        dirichlet_shards(sentences(3, 1), 4, alpha=0.5, seed=0)
    with pytest.raises(ValueError, match="cannot serve"):
        dirichlet_shards(sentences(8, 1), 4, alpha=0.5, seed=0, copies=0)
