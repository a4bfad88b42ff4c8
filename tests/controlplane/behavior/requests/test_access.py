"""The score of a window of requests: what counts by itself, and what only together."""

import pytest

from controlplane.behavior.requests import AccessScores, Closed, Observation, RequestProfile, Scored, Windows
from controlplane.behavior.requests.familiar import HOURS, Hours, Networks, Pairs, network_of, pair_of
from tests.controlplane.behavior.requests.traffic import MONDAY

NOON = MONDAY + 12 * 3600.0
NIGHT = MONDAY + 3 * 3600.0
KNOWN = RequestProfile(
    windows=1000,
    pairs=Pairs().with_(frozenset([pair_of("inference", "model-a")])),
    networks=Networks(windows={network_of("10.20.0.1"): 1000}),
    hours=Hours(met=[4 if 8 <= hour % 24 < 22 else 0 for hour in range(HOURS)]),
)


def window(time: float, **subjects: list[tuple[str, str, bool]]) -> Closed:
    """A window of inferences, by subject: resource, address, allowed."""
    windows = Windows(60.0)
    for name, asked in subjects.items():
        for resource, address, allowed in asked:
            windows.fold(Observation(time, name, "homes", "inference", resource, address, allowed))
    closed = windows.close(time + 60.0)
    assert closed is not None
    return closed


USUAL = ("model-a", "10.20.0.1", True)
PEERS = {f"peer{number}": [USUAL] * 3 for number in range(5)}


def scored(time: float, asked: list[tuple[str, str, bool]], profile: RequestProfile = KNOWN) -> Scored:
    closed = window(time, own=asked, **PEERS)
    return AccessScores().score(closed, {"own": profile, **dict.fromkeys(PEERS, KNOWN)})["own"][0]


def test_a_usual_window_scores_nothing() -> None:
    assert scored(NOON, [USUAL] * 3) == Scored(0.0, None)


def test_too_much_is_overuse() -> None:
    found = scored(NOON, [USUAL] * 300)
    assert found.score is not None
    assert found.score > 0.0
    assert found.attribution is not None
    assert (found.attribution.attack, found.attribution.atlas) == ("overuse", "AML.T0034.000")
    [feature] = found.attribution.features
    assert (feature.name, feature.value, feature.expected) == ("request_rate", pytest.approx(300), pytest.approx(3))


def test_a_burst_of_twenty_times_as_much_is_tolerated() -> None:
    assert scored(NOON, [USUAL] * 40).score == 0.0


AWAY = ("model-a", "203.0.113.9", True)
NEW = [(f"model-{number}", "10.20.0.1", True) for number in range(6)]
NEW_AWAY = [(f"model-{number}", "203.0.113.9", True) for number in range(6)]


DENIED = ("model-a", "10.20.0.1", False)


@pytest.mark.parametrize(
    ("time", "asked"),
    [(NIGHT, [USUAL] * 3), (NOON, [AWAY] * 3), (NOON, NEW), (NOON, [DENIED] * 30)],
    ids=["hour", "network", "resources", "denials"],
)
def test_one_odd_circumstance_speaks_against_nobody(time: float, asked: list[tuple[str, str, bool]]) -> None:
    assert scored(time, asked).score == 0.0


@pytest.mark.parametrize(("time", "asked"), [(NIGHT, [AWAY] * 3), (NIGHT, NEW), (NOON, NEW_AWAY), (NIGHT, NEW_AWAY)])
def test_several_together_are_a_stolen_identity(time: float, asked: list[tuple[str, str, bool]]) -> None:
    found = scored(time, asked)
    assert found.attribution is not None
    assert (found.attribution.attack, found.attribution.atlas) == ("stolen_identity", "AML.T0012")


def test_all_three_are_worse_than_two() -> None:
    two, three = scored(NIGHT, [AWAY] * 3).score, scored(NIGHT, NEW_AWAY).score
    assert two is not None
    assert three is not None
    assert three > two


def test_nothing_is_odd_for_a_newcomer() -> None:
    assert scored(NIGHT, NEW_AWAY, RequestProfile()).score == 0.0


def test_a_traveller_is_odd_for_one_window() -> None:
    scores, profile, found = AccessScores(), KNOWN, []
    for minute in range(5):
        closed = window(NIGHT + minute * 60.0, own=[AWAY] * 3, **PEERS)
        scored, profile = scores.score(closed, {"own": profile, **dict.fromkeys(PEERS, KNOWN)})["own"]
        found.append(scored.score)
    assert found[0] is not None
    assert found[0] > 0.0
    assert found[1:] == [0.0] * 4


def test_without_peers_there_is_no_score() -> None:
    found = AccessScores().score(window(NOON, own=[USUAL]), {"own": KNOWN})
    assert found["own"][0] == Scored(None, None)


def test_segments_are_not_compared_with_one_another() -> None:
    closed = window(NOON, own=[USUAL] * 300, **PEERS)
    closed.subjects["own"].segment = "offices"
    assert AccessScores().score(closed, {})["own"][0].score is None


def test_a_profile_has_a_bounded_size() -> None:
    scores, profile = AccessScores(), RequestProfile()
    for number in range(300):
        asked = [(f"model-{number}-{at}", f"10.{number % 256}.{at}.1", at % 2 == 0) for at in range(20)]
        closed = window(MONDAY + number * 3600.0, own=asked, **PEERS)
        _, profile = scores.score(closed, {"own": profile})["own"]
    assert len(profile.model_dump_json()) < 2048
    assert RequestProfile.model_validate_json(profile.model_dump_json()) == profile
