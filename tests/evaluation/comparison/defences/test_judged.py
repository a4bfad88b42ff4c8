from evaluation.comparison.defences.judged import Trust
from evaluation.comparison.defences.screening import Screening
from evaluation.comparison.interfaces import Aggregated
from tests.evaluation.comparison.defences.cohorts import ATTACKER, attacked, honest, received, scaled


def trained(*turns: int) -> list[Aggregated]:
    """What trust makes of rounds in which one flips signs."""
    trust = Trust(screening=Screening(seed=5))
    return [trust.aggregate(attacked(scaled(honest(turn, count=1)[0], -2.0), turn)) for turn in turns]


def test_one_round_costs_the_update_and_some_rounds_set_the_device_apart() -> None:
    rounds = trained(1, 2, 3, 4)
    assert ATTACKER in rounds[0].refused
    assert not rounds[0].quarantined
    assert rounds[-1].quarantined == {ATTACKER}
    assert rounds[-1].named[ATTACKER] == "sign_flip"


def test_evidence_grows_from_round_to_round_against_the_attacker_alone() -> None:
    found = trained(1, 2)
    assert found[0].suspected[ATTACKER] < found[1].suspected[ATTACKER]
    assert all(value <= 1.0 for device, value in found[1].suspected.items() if device != ATTACKER)


def test_who_is_set_apart_stays_so_however_honest_it_is_then() -> None:
    trust = Trust(screening=Screening(seed=5))
    for turn in range(1, 5):
        trust.aggregate(attacked(scaled(honest(turn, count=1)[0], -2.0), turn))
    repenting = trust.aggregate(received({**honest(5), ATTACKER: honest(6)[0]}, 5))
    assert repenting.refused == repenting.quarantined == {ATTACKER}


def test_three_devices_are_too_few_to_be_judged_and_are_admitted() -> None:
    found = Trust().aggregate(received(honest(count=3)))
    assert not found.refused
    assert found.step is not None
