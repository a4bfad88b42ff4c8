import pytest

from evaluation.smart_home.corpus import FEWEST_SENTENCES, Corpus, build_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(0)


def test_the_same_seed_gives_the_same_sentences(corpus: Corpus) -> None:
    assert build_corpus(0).digest() == corpus.digest()


def test_another_seed_gives_others(corpus: Corpus) -> None:
    assert build_corpus(1).digest() != corpus.digest()


def test_there_are_about_three_thousand_sentences_over_more_than_thirty_intents(corpus: Corpus) -> None:
    assert 2_500 <= len(corpus.sentences) <= 3_500
    assert len(corpus.intents) > 30


def test_no_text_occurs_twice_so_none_has_two_labels(corpus: Corpus) -> None:
    texts = [sentence.text for sentence in corpus.sentences]
    assert len(texts) == len(set(texts))


def test_every_intent_has_two_templates_and_enough_sentences(corpus: Corpus) -> None:
    for label in range(len(corpus.intents)):
        own = [sentence for sentence in corpus.sentences if sentence.label == label]
        assert len({sentence.template for sentence in own}) >= 2
        assert len(own) >= FEWEST_SENTENCES


def test_what_is_left_out_is_named_with_its_reason(corpus: Corpus) -> None:
    assert corpus.left_out
    assert not set(corpus.left_out) & set(corpus.intents)
    assert set(corpus.left_out.values()) <= {"a single template", "too few sentences"}
