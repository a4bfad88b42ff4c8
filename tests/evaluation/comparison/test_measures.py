"""Figures of one federation, against counts made by hand."""

import pytest

from evaluation.comparison.measures import measures
from evaluation.comparison.results import Sighting


def seen(turn: int, device: int, *marks: str, suspected: float | None = None, named: str | None = None) -> Sighting:
    return Sighting(
        turn=turn,
        device=device,
        is_attacking="a" in marks,
        refused="r" in marks,
        quarantined="q" in marks,
        suspected=suspected,
        named=named,
    )


# Device 0 attacks from round 2 on, 1 in round 4 alone; 2 and 3 are honest.
SIGHTINGS = [
    seen(1, 0), seen(1, 1), seen(1, 2), seen(1, 3, "r"),
    seen(2, 0, "a"), seen(2, 1), seen(2, 2), seen(2, 3),
    seen(3, 0, "a"), seen(3, 1), seen(3, 2), seen(3, 3),
    seen(4, 0, "a", "r", suspected=0.9, named="backdoor"), seen(4, 1, "a", suspected=0.2, named="sybil"),
    seen(4, 2, suspected=0.2), seen(4, 3, "r", suspected=0.5),
    seen(5, 0, "a", "r", "q", suspected=0.9, named="sign_flip"), seen(5, 1), seen(5, 2, suspected=0.1), seen(5, 3, "q"),
]  # fmt: skip


def test_rates_are_over_devices_and_rounds_after_the_third() -> None:
    found = measures(SIGHTINGS, {"sign_flip"})
    # Attacking after round 3: device 0 twice, kept out both times; device 1 once, not.
    assert found.true_positive_rate == pytest.approx(2 / 3)
    # Not attacking: 2 and 3 in rounds 4 and 5, and 1 in round 5; of these 3 was kept out twice.
    assert found.false_positive_rate == pytest.approx(2 / 5)


def test_rounds_to_quarantine_count_the_round_of_the_onset_as_the_first() -> None:
    found = measures(SIGHTINGS, {"sign_flip"})
    assert found.rounds_to_quarantine == {0: 4, 1: None}
    assert found.caught == 1
    assert found.honest_quarantined == {3: 5}


def test_an_attacker_is_called_what_it_was_called_when_it_was_set_apart() -> None:
    assert measures(SIGHTINGS, {"sign_flip"}).attribution == 0.5
    assert measures(SIGHTINGS, {"backdoor"}).attribution == 0.0
    assert measures(SIGHTINGS, {"sybil", "sign_flip"}).attribution == 1.0


def test_the_ranking_is_the_share_of_pairs_in_which_the_attacker_looks_worse() -> None:
    # Round 4: 0.9 beats both, 0.2 ties with one and loses to the other; round 5: 0.9 beats 0.1.
    assert measures(SIGHTINGS, set()).ranking == pytest.approx((2 + 0.5 + 1) / 5)


def test_nothing_is_said_of_what_never_was() -> None:
    clean = [seen(turn, device) for turn in range(1, 6) for device in range(3)]
    found = measures(clean, set())
    assert (found.true_positive_rate, found.false_positive_rate) == (None, 0.0)
    assert (found.ranking, found.attribution, found.rounds_to_quarantine) == (None, None, {})
    assert measures(clean[:3], set()).false_positive_rate is None


def test_who_was_set_apart_before_it_turned_is_caught_with_its_onset() -> None:
    found = measures([seen(1, 0, "q"), seen(2, 0, "a", "q")], set())
    assert found.rounds_to_quarantine == {0: 1}
