"""A p-value is valid: of exchangeable scores, it is small as seldom as it says."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.conformal import Peer, Pool

scores = st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.5]) | st.floats(0.0, 1e6)


def pool(*recent: float, calibration: list[float] | None = None) -> Pool:
    return Pool(calibration or [], [Peer(f"peer-{index}", score) for index, score in enumerate(recent)])


@given(st.lists(scores, min_size=2, max_size=12), st.integers(1, 12))
def test_of_exchangeable_scores_the_share_alpha_at_most_has_a_p_value_up_to_alpha(found: list[float], k: int) -> None:
    small = 0
    for at, own in enumerate(found):
        others = [*found[:at], *found[at + 1 :]]
        small += pool(*others).p_value("own", own, 1.0) <= (k + 1e-9) / len(found)
    assert small <= k


@given(st.lists(scores, max_size=20), st.lists(scores, max_size=20), st.tuples(scores, scores).map(sorted))
def test_who_deviates_more_has_no_larger_p_value(
    calibration: list[float], recent: list[float], both: list[float]
) -> None:
    found = pool(*recent, calibration=sorted(calibration))
    less, more = (found.p_value("own", score, 1.0) for score in both)
    assert 0.0 < more <= less <= 1.0


@given(st.lists(scores, max_size=20), scores)
def test_a_calibration_counts_as_peers_do(others: list[float], own: float) -> None:
    as_peers, as_calibration = pool(*others), pool(calibration=sorted(others))
    assert as_peers.p_value("own", own, 1.0) == as_calibration.p_value("own", own, 1.0)
    assert as_peers.comparable("own") == as_calibration.comparable("own") == len(others)


def test_the_least_p_value_is_one_over_all_that_are_compared() -> None:
    assert pool(*[0.0] * 19).p_value("own", 9.0, 1.0) == 1 / 20


def test_ties_count_as_deviating_as_much() -> None:
    assert pool(1.0, 1.0, 0.0).p_value("own", 1.0, 1.0) == 3 / 4


def test_an_honest_subject_may_deviate_more_often_than_its_peers() -> None:
    found = pool(*[0.0] * 99)
    assert found.p_value("own", 1.0, 5.0) == 5 / 100
    assert found.p_value("own", 0.0, 5.0) == 1.0


def test_nobody_is_compared_with_its_own_past() -> None:
    recent = [Peer("own", 9.0)] * 50 + [Peer("other", 0.0)] * 9
    found = Pool([], recent)
    assert found.comparable("own") == 9
    assert found.p_value("own", 9.0, 1.0) == 1 / 10
    assert found.p_value("third", 9.0, 1.0) == 51 / 60


def test_who_is_alone_looks_like_anybody() -> None:
    assert Pool([]).p_value("own", 100.0, 1.0) == 1.0


@given(st.lists(scores, max_size=20), st.lists(scores, max_size=20), scores)
def test_what_the_calibration_finds_rare_no_crowd_of_peers_admits(
    calibration: list[float], crowd: list[float], own: float
) -> None:
    found = pool(*crowd, calibration=sorted(calibration))
    alone = pool(calibration=sorted(calibration)).p_value("own", own, 1.0)
    assert found.admission_p_value("own", own, 1.0) == min(alone, found.p_value("own", own, 1.0))


def test_accomplices_make_a_deviation_usual_to_bets_and_not_to_admission() -> None:
    found = pool(*[9.0] * 30, calibration=[0.0] * 99)
    assert found.p_value("own", 9.0, 1.0) > 0.2
    assert found.admission_p_value("own", 9.0, 1.0) == 1 / 100


def test_without_a_calibration_admission_reads_what_peers_say() -> None:
    found = pool(*[0.0] * 99)
    assert found.admission_p_value("own", 9.0, 1.0) == found.p_value("own", 9.0, 1.0) == 1 / 100
