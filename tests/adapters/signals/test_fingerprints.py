"""Fingerprints: alike for what is alike, unlike for what is not, bounded for anything."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.signals.fingerprints import MARKS, MAX_LENGTH, TextFingerprints, VectorFingerprints

TEXTS = TextFingerprints()
SENTENCE = "my grandmother's recipe for apple strudel uses two hundred grams of butter and some cinnamon"
OTHERS = (
    "what is the weather like in paris tomorrow",
    "please summarise the following article about climate change for a ten year old",
    "set the thermostat to 21 degrees",
    "hi",
    "",
)


def vector(seed: int, length: int = 64) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(0.0, 1.0) for _ in range(length)]


def moved(found: list[float], by: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [value + chance.gauss(0.0, by) for value in found]


@pytest.mark.parametrize("at", range(0, 15, 3))
def test_a_text_with_another_word_is_near(at: int) -> None:
    words = SENTENCE.split()
    words[at] = "something"
    own, _ = TEXTS(SENTENCE)
    other, _ = TEXTS(" ".join(words))
    assert own.near([other]) == other.near([own]) == 1


@pytest.mark.parametrize("text", OTHERS)
def test_another_text_is_not_near(text: str) -> None:
    own, _ = TEXTS(SENTENCE)
    other, _ = TEXTS(text)
    assert own.near([other]) == other.near([own]) == 0


def test_short_texts_have_their_silence_in_common_and_are_not_near_for_that() -> None:
    found = [TEXTS(text)[0] for text in ("hi", "ok", "on", "", "?!")]
    assert found[3] == found[4]
    for at, one in enumerate(found[:4]):
        assert one.near(found[:at] + found[at + 1 : 4]) == 0


@pytest.mark.parametrize(
    "text", ["Turn ON the light!", "turn  on\tthe light", "turn on, the: light", "\uff54urn on the light"]
)
def test_how_a_text_is_typed_makes_no_difference(text: str) -> None:
    assert TEXTS(text) == TEXTS("turn on the light")


@given(st.text(max_size=5000))
def test_any_text_has_a_fingerprint_of_one_size_and_equals_itself(text: str) -> None:
    own, cells = TEXTS(text)
    again, _ = TEXTS(text)
    assert own == again
    assert len(own.marks) == MARKS
    assert own.near([again]) == 0
    assert len(cells) <= 2 * len(text) + 1


@pytest.mark.parametrize("length", [1, 2, 8, 64, 384])
def test_a_vector_that_moved_a_little_is_near_and_another_is_not(length: int) -> None:
    prints = VectorFingerprints(seed=7)
    own, _ = prints(vector(1, length))
    close, _ = prints(moved(vector(1, length), 0.02, 5))
    assert own.near([close]) == 1
    if length >= 8:
        far, _ = prints(vector(2, length))
        assert own.near([far]) == 0


def test_the_same_vector_is_a_repetition_and_not_near() -> None:
    prints = VectorFingerprints()
    own, cells = prints(vector(1))
    assert own.near([prints(vector(1))[0]]) == 0
    assert all(0 <= cell < prints.space for cell in cells)
    assert len(set(cells)) == len(cells)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_any_vector_has_a_fingerprint(values: list[float]) -> None:
    own, cells = VectorFingerprints(seed=1)(values)
    assert len(own.marks) == MARKS
    assert len(cells) == 10


def test_ever_new_lengths_build_few_projections_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    seeded = random.Random

    def counting(seed: int) -> random.Random:
        built.append(seed)
        return seeded(seed)

    prints = VectorFingerprints()
    monkeypatch.setattr("adapters.signals.fingerprints.random.Random", counting)
    for _ in range(2):
        for length in [*range(1, 40), *range(16_000, 16_020), MAX_LENGTH, MAX_LENGTH + 1, 3 * MAX_LENGTH]:
            prints([0.5] * length)
    assert len(built) == len(set(built)) <= 16
    for length in range(1, 20):
        prints([0.5] * (1 << length))
    assert len(built) <= 16


@pytest.mark.parametrize("length", [9, 17, 33, 1025])
def test_a_vector_just_above_a_power_of_two_is_told_from_others(length: int) -> None:
    prints = VectorFingerprints(seed=7)
    own, _ = prints(vector(1, length))
    assert own.near([prints(moved(vector(1, length), 0.02, 5))[0]]) == 1
    assert sum(own.near([prints(vector(seed, length))[0]]) for seed in range(2, 22)) == 0


def test_many_queries_reach_more_of_the_space_than_few() -> None:
    prints = VectorFingerprints(seed=3)
    reached = {cell for seed in range(200) for cell in prints(vector(seed))[1]}
    around = {cell for seed in range(200) for cell in prints(moved(vector(0), 0.02, seed))[1]}
    assert len(reached) > 0.6 * prints.space
    assert len(around) < 0.1 * prints.space
