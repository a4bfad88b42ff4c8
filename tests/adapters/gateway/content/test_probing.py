"""Probing: near duplicates and coverage by subject and model, in bounded memory."""

import json
import random
import time

from adapters.gateway.content.probing import MAX_NUMBERS, NEAR_SECONDS, Probing
from adapters.signals.use import LATELY_SECONDS


class Clock:
    now = 1e9

    def __call__(self) -> float:
        return self.now


def test_a_prompt_that_differs_little_is_told_and_the_same_one_is_not() -> None:
    probing = Probing(Clock())
    text = "please turn on the light in the kitchen and the one in the hall"
    for _ in range(3):
        probing.add("dev-1", "m", [text])
        assert probing.seen("dev-1", "m")[0] is False
    probing.add("dev-1", "m", [text.replace("hall", "hall.x")])
    assert probing.seen("dev-1", "m")[0] is True
    assert probing.seen("dev-1", "other")[0] is probing.seen("dev-2", "m")[0] is False


def test_it_is_told_for_a_while_for_requests_overlap() -> None:
    clock = Clock()
    probing = Probing(clock)
    for end in ("kitchen", "kitchens"):
        probing.add("dev-1", "m", [f"please turn on the light in the {end}"])
    probing.add("dev-1", "m", ["what will the weather be like tomorrow afternoon"])
    assert probing.seen("dev-1", "m")[0] is True
    clock.now += NEAR_SECONDS
    assert probing.seen("dev-1", "m")[0] is False


def test_coverage_grows_with_what_is_asked_and_is_forgotten() -> None:
    clock, chance = Clock(), random.Random(7)
    probing = Probing(clock)
    shares = []
    for _ in range(60):
        probing.add("dev-1", "m", [json.dumps([chance.gauss(0.0, 1.0) for _ in range(16)])])
        shares.append(probing.seen("dev-1", "m")[1])
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] > 0.3
    clock.now += LATELY_SECONDS
    assert probing.seen("dev-1", "m")[1] == shares[-1]
    clock.now += LATELY_SECONDS
    assert probing.seen("dev-1", "m")[1] == 0.0


def test_the_parts_of_a_prompt_are_one_query() -> None:
    probing = Probing(Clock())
    probing.add("dev-1", "m", ["please turn on the light in the kitchen", "please turn on the light in the kitchens"])
    assert probing.seen("dev-1", "m")[0] is False


def test_what_is_no_list_of_numbers_is_a_text() -> None:
    probing = Probing(Clock())
    for text in ("[", "[" * 100_000, "[true]", "[1e999]", '["x"]', "[]", "[1" + "0" * 400 + "]", "", " "):
        probing.add("dev-1", "m", [text])
    assert 0.0 < probing.seen("dev-1", "m")[1] < 0.05


def test_of_a_long_vector_its_beginning_counts() -> None:
    probing = Probing(Clock())
    long = [1.0] * MAX_NUMBERS
    probing.add("dev-1", "m", [json.dumps(long)])
    probing.add("dev-1", "m", [json.dumps([*long, 5.0])])
    assert probing.seen("dev-1", "m")[0] is False
    probing.add("dev-1", "m", [json.dumps([2.0, *long])])
    assert probing.seen("dev-1", "m")[0] is True


def test_numbers_that_lie_deep_take_no_longer() -> None:
    deep = "[" * 400 + ",".join(["1"] * 300_000) + "]" * 400
    begun = time.thread_time()
    Probing(Clock()).add("dev-1", "m", [deep])
    assert time.thread_time() - begun < 1.2
    probing = Probing(Clock())
    probing.add("dev-1", "m", ["[[1,[2]],3]"])
    reached = probing.seen("dev-1", "m")
    probing.add("dev-1", "m", ["[1,2,[[3]]]"])
    assert probing.seen("dev-1", "m") == reached


def test_of_too_many_the_one_that_asked_longest_ago_is_forgotten() -> None:
    probing = Probing(Clock(), trails=2)
    for subject in ("dev-1", "dev-2", "dev-1", "dev-3"):
        probing.add(subject, "m", ["turn on the light"])
    assert probing.seen("dev-1", "m")[1] > 0.0
    assert probing.seen("dev-2", "m")[1] == 0.0
