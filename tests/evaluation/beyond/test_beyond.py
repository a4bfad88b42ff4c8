"""Each attack fails where its protection stands, and succeeds where it does not; what nothing stops is said."""

import pytest
import torch

from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import QUICK
from evaluation.beyond.table import HEADER, rows
from evaluation.beyond.trying import ATTACKS, tried


@pytest.fixture(scope="module")
def found() -> list[Attempt]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return tried(list(ATTACKS), QUICK)
    finally:
        torch.set_num_threads(threads)


def of(found: list[Attempt], attack: str, tries: str = "") -> Attempt:
    [one] = [one for one in found if one.attack == attack and tries in one.tries]
    return one


STOPPED = (
    ("stolen capability", "alone"),
    ("stolen capability", "another enforcement point"),
    ("key theft", "platform attested"),
    ("key theft", "other way"),
    ("key theft", "granted"),
    ("lateral movement", ""),
)


@pytest.mark.parametrize(("attack", "tries"), STOPPED)
def test_an_attack_is_stopped_by_its_protection_and_by_nothing_else(
    found: list[Attempt], attack: str, tries: str
) -> None:
    attempt = of(found, attack, tries)
    assert attempt.off is not None
    assert attempt.on.won == 0
    assert attempt.off.won == attempt.off.tried > 0


def test_an_old_key_and_an_aggregators_inventions_are_worth_nothing(found: list[Attempt]) -> None:
    for attack, tries in (("key theft", "old key"), ("lying aggregator", "sent none"), ("lying aggregator", "twice")):
        attempt = of(found, attack, tries)
        assert attempt.on.won == 0 < attempt.on.tried


def test_forged_evidence_lets_nobody_in(found: list[Attempt]) -> None:
    attempt = of(found, "forged attestation")
    if "not tried" in attempt.tries:
        pytest.skip(attempt.tries)
    assert attempt.on.won == 0 < attempt.on.tried
    assert attempt.off is not None
    assert attempt.off.won == attempt.off.tried


def test_a_flood_ends_at_the_budget_and_a_neighbour_is_served(found: list[Attempt]) -> None:
    attempt = of(found, "prompt flooding")
    assert attempt.off is not None
    assert 0 < attempt.on.won < attempt.on.tried == attempt.off.won
    assert attempt.figures["share of a neighbour's requests that were served meanwhile"] == 1.0


def test_a_thief_who_attacks_is_set_apart_and_one_who_does_not_is_served(found: list[Attempt]) -> None:
    assert of(found, "key theft", "other way").figures["rounds to quarantine"] <= QUICK.rounds
    plain = of(found, "key theft", "wants no attestation")
    assert plain.on.won == plain.on.tried
    assert plain.protection.startswith("none")


def test_what_an_aggregator_says_of_others_is_believed_and_the_table_says_so(found: list[Attempt]) -> None:
    for tries in ("honest device", "hostile device"):
        attempt = of(found, "lying aggregator", tries)
        assert attempt.on.won > 0
        assert attempt.protection.startswith("none")


def test_labels_alone_tell_less_of_members_than_probabilities_do(found: list[Attempt]) -> None:
    attempt = of(found, "membership inference")
    assert attempt.off is not None
    assert attempt.on.share < attempt.off.share


def test_copies_are_made_of_answers_that_were_got(found: list[Attempt]) -> None:
    attempt = of(found, "model extraction")
    assert attempt.off is not None
    assert attempt.figures["answers that he got"] == QUICK.queries * QUICK.windows
    assert attempt.off.won > attempt.off.tried / len(ATTACKS)
    assert attempt.figures["honest devices set apart"] == 0.0


def test_every_attempt_has_a_row_of_its_own(found: list[Attempt]) -> None:
    shown = rows(found)
    assert len({row[0] for row in shown}) == len(found)
    assert {len(row) for row in shown} == {len(HEADER)}
    assert {one.attack for one in found} == {name.replace("-", " ") for name in ATTACKS}


def test_an_interval_holds_its_share_and_nothing_tried_says_nothing() -> None:
    low, high = Tally(20, 0).interval
    assert low == 0.0
    assert 0.1 < high < 0.2
    assert Tally(0, 0).interval == (0.0, 1.0)
