import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.trust.measures import is_positive, measures
from tests.evaluation.trust.samples import TURNS, seen, watched


def test_refused_and_quarantined_rounds_are_positive_and_others_are_not() -> None:
    assert is_positive(seen(1, 0, accepted=False))
    assert is_positive(seen(1, 0, quarantined=True))
    assert not is_positive(seen(1, 0))


def test_rates_leave_the_first_three_rounds_out() -> None:
    missed_early = [
        one.model_copy(update={"accepted": True, "state": "watched"}) if one.turn <= 3 else one for one in watched()
    ]
    assert measures(missed_early).true_positive_rate == 1.0
    missed_once = [
        one.model_copy(update={"accepted": True, "state": "watched"}) if one.turn == 4 else one for one in watched()
    ]
    assert measures(missed_once).true_positive_rate == pytest.approx(8 / 9)


def test_an_honest_device_that_is_set_apart_counts_in_every_round_since() -> None:
    found = measures(watched(honest=4, wronged={2: 11}))
    assert found.false_positive_rate == pytest.approx(2 / 36)
    assert found.honest_quarantined == {2: 11}


def test_a_sleeper_is_honest_until_its_onset() -> None:
    found = measures(watched(honest=4, onset=6, caught_in=8))
    assert found.false_positive_rate == 0.0
    assert found.true_positive_rate == 1.0
    assert found.rounds_to_quarantine == {4: 3}


def test_a_sleeper_that_was_set_apart_before_its_onset_is_caught_with_it_and_a_false_positive_before() -> None:
    found = measures(watched(honest=4, onset=6, caught_in=5))
    assert found.rounds_to_quarantine == {4: 1}
    assert found.false_positive_rate == pytest.approx(1 / 38)


def test_an_attacker_that_is_never_quarantined_has_taken_no_number_of_rounds() -> None:
    found = measures(watched(caught_in=None))
    assert found.rounds_to_quarantine == {4: None}
    assert found.slowest is None
    assert (found.caught, found.named) == (0, {})


def test_what_counts_as_its_name_is_that_of_the_verdict_that_quarantined_it() -> None:
    sightings = [
        one.model_copy(update={"attack": "sybil" if one.turn == 3 else "replay"}) if one.device == 4 else one
        for one in watched(caught_in=3)
    ]
    found = measures(sightings)
    assert found.named == {4: "sybil"}
    assert found.rightly_named(("sybil", "collusion")) == 1
    assert found.rightly_named(("replay",)) == 0


def test_where_nobody_attacks_there_is_no_true_positive_rate() -> None:
    found = measures([seen(turn, device) for turn in range(1, TURNS + 1) for device in range(3)])
    assert found.true_positive_rate is None
    assert found.false_positive_rate == 0.0
    assert found.rounds_to_quarantine == {}


@settings(deadline=None, max_examples=50)
@given(onset=st.integers(1, TURNS), caught=st.integers(1, TURNS), wronged=st.integers(1, TURNS))
def test_rates_are_shares_and_rounds_count_from_the_onset(onset: int, caught: int, wronged: int) -> None:
    found = measures(watched(onset=onset, caught_in=caught, wronged={0: wronged}))
    assert 0.0 <= found.false_positive_rate <= 1.0
    assert found.true_positive_rate is not None
    assert 0.0 <= found.true_positive_rate <= 1.0
    assert found.rounds_to_quarantine[4] == max(1, caught - onset + 1)
