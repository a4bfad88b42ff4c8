"""The score of a window of inferences as a gateway reports it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.requests import InferenceScores, Reported, Scored, UseProfile
from controlplane.contracts.signals import InferenceSignals
from tests.controlplane.behavior.requests.traffic import MONDAY

GATEWAY = "dev-gateway"


def signals(subject: str = "dev-1", **changes: object) -> InferenceSignals:
    usual: dict[str, object] = {
        "subject": subject,
        "model": "intents",
        "started_at": MONDAY,
        "seconds": 60.0,
        "queries": 10,
        "prompt_tokens": 80,
        "answer_tokens": 50,
        "distinct": 8,
        "coverage": 0.05,
        "repeated": 0.3,
        "near_duplicates": 0.2,
        "crowding": 0.02,
    }
    return InferenceSignals.model_validate(usual | changes)


def scored(one: InferenceSignals, profile: UseProfile | None = None) -> Scored:
    peers = [Reported(signals(f"peer-{number}"), "homes", UseProfile()) for number in range(6)]
    return InferenceScores().score(GATEWAY, [Reported(one, "homes", profile or UseProfile()), *peers])[0][0]


@pytest.mark.parametrize(
    ("attack", "atlas", "owasp", "changes"),
    [
        (
            "extraction",
            "AML.T0024.002",
            "LLM10:2025",
            {"queries": 400, "distinct": 390, "coverage": 0.7, "prompt_tokens": 4000, "answer_tokens": 900},
        ),
        ("extraction", "AML.T0024.002", "LLM10:2025", {"queries": 40, "distinct": 40, "coverage": 0.6}),
        ("membership_inference", "AML.T0024.000", "LLM02:2025", {"near_duplicates": 1.0, "crowding": 0.9}),
        ("prompt_injection", "AML.T0051", "LLM01:2025", {"injections": 5}),
        ("overuse", "AML.T0034.000", "LLM10:2025", {"queries": 5000, "prompt_tokens": 100_000, "distinct": 10}),
    ],
)
def test_each_attack_is_named(attack: str, atlas: str, owasp: str, changes: dict[str, object]) -> None:
    found = scored(signals(**changes))
    assert found.score is not None
    assert found.score > 0.0
    assert found.attribution is not None
    assert (found.attribution.attack, found.attribution.atlas, found.attribution.owasp) == (attack, atlas, owasp)
    assert found.attribution.confidence > 0.4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"queries": 1, "distinct": 1, "repeated": 0.0},
        {"queries": 60, "distinct": 40, "prompt_tokens": 500},
        {"near_duplicates": 0.5},
        {"injections": 1},
        {"secrets": 5},
        {"seconds": 600.0, "queries": 100, "distinct": 60, "prompt_tokens": 800, "answer_tokens": 500},
    ],
)
def test_what_many_do_now_and_then_scores_nothing(changes: dict[str, object]) -> None:
    assert scored(signals(**changes)).score == 0.0


def test_a_model_is_compared_with_its_own_users() -> None:
    found = scored(signals(model="encoder", queries=400, distinct=390, coverage=0.9))
    assert found == Scored(None, None)


def test_long_habit_excuses_much_but_no_injection() -> None:
    scores, profile = InferenceScores(), UseProfile()
    wide: dict[str, object] = {"coverage": 0.3, "injections": 5}
    for minute in range(300):
        at = {"started_at": MONDAY + minute * 60.0}
        reported = [Reported(signals(f"peer-{number}", **at), "homes", UseProfile()) for number in range(6)]
        reported.append(Reported(signals(**wide, **at), "homes", profile))
        last, profile = scores.score(GATEWAY, reported)[-1]
    assert last.attribution is not None
    assert [feature.name for feature in last.attribution.features] == ["injections"]


@pytest.mark.parametrize(
    ("started_at", "is_fresh"),
    [(MONDAY, True), (MONDAY - 60.0, True), (MONDAY - 3700.0, False), (MONDAY + 3600.0, False), (0.0, False)],
)
def test_only_windows_of_today_count(started_at: float, is_fresh: bool) -> None:
    one = signals(started_at=started_at)
    assert UseProfile().is_fresh(GATEWAY, one, MONDAY + 60.0) is is_fresh


def test_no_gateway_reports_the_same_time_twice_and_another_may() -> None:
    one = signals()
    [(_, profile)] = InferenceScores().score(GATEWAY, [Reported(one, "homes", UseProfile())])
    for started_at, is_fresh in ((MONDAY, False), (MONDAY + 59.0, False), (MONDAY + 60.0, True)):
        again = signals(started_at=started_at)
        assert profile.is_fresh(GATEWAY, again, MONDAY + 120.0) is is_fresh
        assert profile.is_fresh("dev-other", again, MONDAY + 120.0)


@given(
    st.lists(
        st.builds(
            signals,
            st.sampled_from(["dev-1", "dev-2", "dev-3"]),
            model=st.sampled_from([f"model-{number}" for number in range(9)]),
            queries=st.integers(500, 10**9),
            distinct=st.integers(0, 500),
            coverage=st.floats(0.0, 1.0),
            seconds=st.floats(1.0, 3600.0),
            prompt_tokens=st.integers(0, 10**9),
            injections=st.integers(0, 500),
        ),
        max_size=60,
    )
)
def test_whatever_is_reported_scores_are_finite_and_profiles_bounded(reported: list[InferenceSignals]) -> None:
    scores, profiles = InferenceScores(), dict[str, UseProfile]()
    for number, one in enumerate(reported):
        profile = profiles.get(one.subject, UseProfile())
        [(found, after)] = scores.score(f"gateway-{number % 20}", [Reported(one, "homes", profile)])
        profiles[one.subject] = after
        assert found.score is None or 0.0 <= found.score < 1e4
        assert len(after.model_dump_json()) < 4096
        assert UseProfile.model_validate_json(after.model_dump_json()) == after


def test_no_number_of_gateways_makes_room_for_the_same_time_again() -> None:
    one, profile = signals(), UseProfile()
    for number in range(200):
        if profile.is_fresh(f"gateway-{number}", one, MONDAY + 60.0):
            [(_, profile)] = InferenceScores().score(f"gateway-{number}", [Reported(one, "homes", profile)])
    assert not profile.is_fresh("gateway-0", one, MONDAY + 120.0)
    assert not profile.is_fresh("gateway-199", one, MONDAY + 120.0)
    later = signals(started_at=MONDAY + 3 * 3600.0)
    assert profile.is_fresh("gateway-199", later, MONDAY + 3 * 3600.0 + 60.0)
