"""What earlier rounds looked like is remembered, within bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.screening.memory import OWN, Digests, Sketches
from adapters.screening.values import Array


def directions(count: int, seed: int = 0, width: int = 64) -> Array:
    found = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_digest_is_known_from_another_round_only() -> None:
    digests = Digests(10)
    digests.remember(["a"], "r1")
    assert not digests.came_before("a", "r1")
    assert digests.came_before("a", "r2")
    assert not digests.came_before("b", "r2")


def test_a_digest_stays_known_when_it_comes_again_in_the_round_that_repeats_it() -> None:
    digests = Digests(10)
    digests.remember(["a"], "r1")
    digests.remember(["a"], "r2")
    assert digests.came_before("a", "r2")


def test_the_oldest_digests_are_forgotten() -> None:
    digests = Digests(3)
    digests.remember(["a", "b", "c"], "r1")
    digests.remember(["a"], "r2")
    digests.remember(["d"], "r3")
    assert [digests.came_before(name, "r9") for name in "abcd"] == [True, False, True, True]


def test_without_earlier_rounds_nothing_is_recalled() -> None:
    sketches = Sketches(10)
    assert sketches.recall(["a"], directions(1), "r1") == {}
    sketches.remember(["a"], directions(1), "r1")
    assert sketches.recall(["a"], directions(1), "r1") == {}


def test_a_replay_is_recognised_whoever_sends_it() -> None:
    sketches, first = Sketches(10), directions(3)
    sketches.remember(["a", "b", "c"], first, "r1")
    found = sketches.recall(["d", "a"], np.stack([first[1], directions(1, 7)[0]]), "r2")
    assert found["d"].replay_cosine == pytest.approx(1.0)
    assert found["d"].innovation is None
    assert found["a"].replay_cosine == pytest.approx(float((first @ directions(1, 7)[0]).max()), abs=1e-6)


def test_what_a_subject_sent_before_is_nothing_new() -> None:
    sketches, rounds = Sketches(100), [directions(2, seed) for seed in range(OWN)]
    for number, sent in enumerate(rounds):
        sketches.remember(["a", "b"], sent, f"r{number}")
    mixed = sum(0.5 * sent[0] for sent in rounds)
    again = np.stack([mixed / np.linalg.norm(mixed), rounds[0][1]])
    found = sketches.recall(["a", "b"], again, "now")
    assert found["a"].innovation == pytest.approx(0.0, abs=1e-4)
    assert found["b"].innovation == pytest.approx(0.0, abs=1e-4)
    new = sketches.recall(["a"], directions(1, 99, 64), "now")["a"].innovation
    assert new is not None
    assert new > 0.8


def test_others_do_not_explain_it() -> None:
    sketches, sent = Sketches(10), directions(2)
    sketches.remember(["a", "b"], sent, "r1")
    found = sketches.recall(["b"], sent[:1], "r2")["b"]
    assert found.innovation == pytest.approx(1.0 - float(sent[0] @ sent[1]) ** 2, abs=1e-3)
    assert found.replay_cosine == pytest.approx(1.0)


def test_a_subject_that_sent_the_same_again_and_again_is_measured_all_the_same() -> None:
    sketches, sent = Sketches(10), directions(1)
    for number in range(5):
        sketches.remember(["a"], sent, f"r{number}")
    assert sketches.recall(["a"], sent, "now")["a"].innovation == pytest.approx(0.0, abs=1e-3)


def test_the_oldest_rounds_are_forgotten_and_a_round_is_never_larger_than_the_memory() -> None:
    sketches = Sketches(5)
    first, second = directions(3, 1), directions(3, 2)
    sketches.remember(["a", "b", "c"], first, "r1")
    sketches.remember(["a", "b", "c"], second, "r2")
    found = sketches.recall(["z"], first[:1], "r3")["z"].replay_cosine
    assert found is not None
    assert found < 0.9
    sketches.remember([f"s{n}" for n in range(20)], directions(20, 3), "r3")
    assert sketches.recall(["s0"], directions(20, 3)[:1], "r4")["s0"].innovation == pytest.approx(0.0, abs=1e-4)
    assert sketches.recall(["s9"], directions(20, 3)[9:10], "r4")["s9"].innovation is None


@settings(max_examples=60, deadline=None)
@given(rounds=st.lists(st.tuples(st.sampled_from("pqr"), st.integers(1, 5)), min_size=1, max_size=12))
def test_whatever_rounds_came_the_latest_that_fit_are_compared_with_and_no_others(
    rounds: list[tuple[str, int]],
) -> None:
    most, sketches, kept = 7, Sketches(7), list[tuple[str, Array]]()
    for number, (round_id, count) in enumerate(rounds):
        subjects, sent = [f"s{n}" for n in range(count)], directions(count, number, 16)
        found = sketches.recall(subjects, sent, round_id)
        others = [past for name, past in kept if name != round_id]
        highest = (sent @ np.concatenate(others).T).max(axis=1).tolist() if others else []
        assert [found[subject].replay_cosine for subject in subjects if found] == pytest.approx(highest, abs=1e-6)
        sketches.remember(subjects, sent, round_id)
        kept.append((round_id, sent))
        while sum(len(past) for _, past in kept) > most:
            kept.pop(0)
