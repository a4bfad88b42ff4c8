"""Each claim can be false by itself, and says so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.conformance import Ended, Job, training
from adapters.conformance.cases import Case, named
from adapters.conformance.checking import Cast, Part, faults
from adapters.conformance.script import Script

HONEST = [[(number, turn) for number in range(5)] for turn in range(2)]
SIXTH = "dev-sixth"
FLIPPED = named("sign-flip")


def a_round(accepted: int = 5, cause: str = "update_aligned", subject: str = SIXTH) -> dict[str, Any]:
    drops = [{"point": "gate", "cause": cause, "subject": subject, "round_id": "r"}] if cause else []
    verdicts = {subject: {"decision": False, "decision_id": "d", "reasons": [cause]}} if cause else {}
    return {"round_id": "r", "accepted": accepted, "drops": drops, "verdicts": verdicts}


def kept(*rounds: dict[str, Any]) -> Ended:
    """A job that ended as it should where a client's updates are refused."""
    return Ended(training.after(HONEST), 2, {"rounds": rounds or [a_round(), a_round()], "drops": []})


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., list[str]]:
    def checked(case: Case, ended: Ended, denials: int = 1) -> list[str]:
        job = Job(tmp_path, tmp_path, tmp_path, (), 2, "aggregator-1", "smart-home-intents")
        [found] = faults([Part(case, Cast(SIXTH, tmp_path), lambda: denials)], job, ended)
        return found

    return checked


Check = Callable[..., list[str]]


def test_a_job_that_keeps_a_case_has_no_faults(check: Check) -> None:
    assert check(FLIPPED, kept()) == []


def test_a_job_that_was_cut_short_is_one(check: Check) -> None:
    assert check(FLIPPED, replace(kept(), rounds=1)) == ["1 of 2 rounds ran: no client may stop a job"]


def test_an_update_too_many_in_the_model_is_found_whatever_the_report_says(check: Check) -> None:
    entered = [[*HONEST[0], (5, 0)], HONEST[1]]
    [fault] = check(FLIPPED, replace(kept(), state=training.after(entered)))
    assert fault.startswith("the model is not the mean of the updates that belong in it")


@pytest.mark.parametrize("second", [[(0, 1)], [(0, 0)], []], ids=["both-rounds", "by-its-twin", "first-alone"])
def test_of_two_with_one_key_whoever_comes_first_may_count_in_each_round(
    check: Check, second: list[training.Entry]
) -> None:
    ways = [HONEST[0], [*second, *HONEST[1][1:]]]
    told = [a_round(len(way), "replayed") for way in ways]
    assert check(named("twin"), replace(kept(*told), state=training.after(ways))) == []


def test_two_with_one_key_never_count_twice(check: Check) -> None:
    twice = [HONEST[0], [*HONEST[1], (0, 0)]]
    [fault] = check(
        named("twin"), replace(kept(a_round(5, "replayed"), a_round(5, "replayed")), state=training.after(twice))
    )
    assert fault.startswith("the model is not the mean of the updates that belong in it")


def test_an_honest_client_that_was_not_served_is_found_with_why(check: Check) -> None:
    found = check(FLIPPED, kept(a_round(4, "absent", "dev-honest"), a_round()))
    assert found == ["4 updates were accepted in r, not 5", "  dev-honest was dropped at gate: absent"]


def test_a_round_that_was_never_gated_is_found(check: Check) -> None:
    assert check(FLIPPED, kept(a_round())) == ["the guard's report knows 1 rounds that were gated, not 2"]


def test_the_report_must_say_why(check: Check) -> None:
    silent = [a_round(cause=""), a_round(cause="")]
    [fault] = check(FLIPPED, kept(*silent))
    assert fault == "the report should say update_aligned or update_plausible of it, and says nothing"
    [fault] = check(FLIPPED, kept(a_round(cause="expired"), a_round(cause="expired")))
    assert fault.endswith("and says expired")
    [fault] = check(FLIPPED, kept(a_round(subject="dev-other"), a_round(subject="dev-other")))
    assert fault.endswith("and says nothing")


def test_what_the_control_plane_denied_must_be_on_record(check: Check) -> None:
    [fault] = check(FLIPPED, kept(), denials=0)
    assert fault == "the control plane has no decision on record that denied it anything"


def test_weights_in_wrong_hands_are_found(check: Check, tmp_path: Path) -> None:
    case = named("stranger")
    ended = kept(a_round(cause="declined"), a_round(cause="declined"))
    assert check(case, ended) == []
    Script("honest", 5, tmp_path, 1.0, folder=tmp_path).next_turn()
    assert check(case, ended) == ["it was given the weights, which it must not have"]


def test_after_an_outage_everybody_must_be_served_again(check: Check) -> None:
    case, everybody = named("control-plane-killed"), [[(number, 1) for number in range(6)]]
    back = Ended(training.after(everybody), 2, {"rounds": [a_round(0, ""), a_round(6, "")], "drops": []})
    assert check(case, back) == []
    lost = replace(back, report={"rounds": [a_round(6, ""), a_round(0, "")], "drops": []})
    assert check(case, lost) == ["not everybody was served in the last round, when what had failed was back"]
    assert check(case, replace(back, state=training.initial())) == ["the model went 0.00 of the way to the target"]


def together(tmp_path: Path, ended: Ended, *parts: tuple[str, str]) -> list[list[str]]:
    """The faults of cases that share a job, each with the name of its client."""
    job = Job(tmp_path, tmp_path, tmp_path, (), 2, "aggregator-1", "smart-home-intents")
    found = [
        Part(named(case), Cast(name, tmp_path / name, 5 + place), lambda: 1) for place, (case, name) in enumerate(parts)
    ]
    return faults(found, job, ended)


def report(*named_drops: tuple[str, str], **nameless: int) -> dict[str, Any]:
    """Two rounds in which these were dropped by name, and causes that have none, as often as is said."""
    drops = [{"point": "pull", "cause": cause, "subject": name, "round_id": "r"} for name, cause in named_drops]
    one = {"round_id": "r", "accepted": 5, "drops": drops, "verdicts": {}}
    counted = [["pull", cause, 2] for _, cause in named_drops]
    return {"rounds": [one, one], "drops": [*counted, *(["identify", *said] for said in nameless.items())]}


def test_each_of_several_cases_of_a_job_is_told_why(tmp_path: Path) -> None:
    parts = ("stale-pull", "dev-a"), ("expired-pull", "dev-b")
    ended = Ended(training.after(HONEST), 2, report(("dev-a", "proof_stale"), ("dev-b", "expired")))
    assert together(tmp_path, ended, *parts) == [[], []]
    silent = replace(ended, report=report(("dev-a", "proof_stale")))
    assert together(tmp_path, silent, *parts)[0] == []
    assert together(tmp_path, silent, *parts)[1] == ["the report should say expired of it, and says nothing"]


def test_what_is_said_of_somebody_without_a_name_is_said_of_one_case_alone(tmp_path: Path) -> None:
    parts = ("impostor", "dev-a"), ("garbage-introduction", "dev-b"), ("stranger", "dev-c")
    ended = Ended(training.after(HONEST), 2, report(wrong_subject=1, malformed=1, absent=1))
    assert together(tmp_path, ended, *parts) == [[], [], []]
    twice = ("stranger", "dev-a"), ("quarantined", "dev-b")
    assert together(tmp_path, replace(ended, report=report(absent=2)), *twice) == [[], []]
    [one, other] = together(tmp_path, replace(ended, report=report(absent=1)), *twice)
    assert (bool(one), bool(other)) in {(True, False), (False, True)}


def test_an_update_of_one_case_in_the_model_is_a_fault_of_all_that_share_it(tmp_path: Path) -> None:
    entered = training.after([[*HONEST[0], (5, 0)], HONEST[1]])
    drops = report(("dev-a", "update_finite"), ("dev-b", "update_finite"))
    found = together(tmp_path, Ended(entered, 2, drops), ("not-a-number", "dev-a"), ("infinite", "dev-b"))
    assert all("the model is not the mean" in one[0] for one in found)


def test_a_client_that_is_honest_once_counts_once_among_others(tmp_path: Path) -> None:
    entered = training.after([[*HONEST[0], (6, 0)], HONEST[1]])
    rounds = report(("dev-a", "malformed"), ("dev-b", "wrong_round"))
    first, second = ({**one, "accepted": accepted} for one, accepted in zip(rounds["rounds"], (6, 5), strict=True))
    ended = Ended(entered, 2, {**rounds, "rounds": [first, second]})
    assert together(tmp_path, ended, ("no-submission", "dev-a"), ("replayed-pull", "dev-b")) == [[], []]
