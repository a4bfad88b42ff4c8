"""One federation: what moves the state, who is asked again, and what is counted."""

import pytest

from evaluation.comparison.federation import Diverged, federate
from evaluation.comparison.results import Result
from tests.evaluation.comparison.tiny import DEVICES, ROUNDS, SIZE, Apart, Pulling, apart, averaging, broken, cell


def run(attack: str, defence: str = "averaging") -> Result:
    one = cell(attack, defence)
    task = Pulling(one)
    opened = {"averaging": averaging, "apart": apart, "broken": broken}[defence](one, task)
    return federate(one, task, opened, "r")


def test_everybody_honest_halves_the_way_to_the_goal_in_each_round() -> None:
    found = run("none")
    assert found.accuracy == pytest.approx(1.0 - 0.5**ROUNDS, abs=0.01)
    assert found.worst_client == pytest.approx(found.accuracy / 2)
    assert found.bytes_a_round == DEVICES * SIZE * 4
    assert len(found.sightings) == DEVICES * ROUNDS
    assert not any(seen.is_attacking or seen.refused or seen.quarantined for seen in found.sightings)


def test_the_attack_harms_plain_averaging_and_not_whoever_sets_attackers_apart() -> None:
    assert run("push").accuracy < run("none").accuracy - 0.05
    assert run("push", "apart").accuracy == pytest.approx(run("none").accuracy, abs=0.05)


def test_who_is_set_apart_sends_nothing_any_more_and_counts_as_kept_out() -> None:
    found = run("sleeper", "apart")
    seen = {(one.turn, one.device): one for one in found.sightings}
    assert not seen[2, 0].is_attacking and not seen[2, 0].refused
    assert seen[3, 0].refused and seen[3, 0].quarantined and seen[3, 0].named == "sign_flip"
    assert seen[4, 0].refused and seen[4, 0].quarantined and seen[4, 0].suspected is None
    assert found.updates_a_round == pytest.approx((3 * DEVICES + 2 * (DEVICES - 2)) / ROUNDS)
    assert found.bytes_a_round == pytest.approx((3 * DEVICES + 2 * (DEVICES - 2)) * 4 * SIZE / ROUNDS)


def test_what_is_undone_is_counted_and_the_models_before_it_are_judged() -> None:
    found = run("sleeper", "apart")
    assert found.undone == 2
    assert found.peak_attack_success > found.attack_success


def test_a_defence_is_shown_as_many_earlier_rounds_as_it_remembers() -> None:
    made = Apart()
    task = Pulling(cell("none"))

    class Opened:
        def __enter__(self) -> Apart:
            return made

        def __exit__(self, *_: object) -> None:
            return None

    federate(cell("none"), task, Opened(), "r")  # type: ignore[arg-type]
    assert made.histories == [0, 1, 2, 2, 2]


def test_a_step_that_is_no_state_of_the_model_is_a_fault() -> None:
    with pytest.raises(Diverged, match="point"):
        run("push", "broken")


def test_costs_are_of_this_federation() -> None:
    found = run("push")
    assert 0.0 < found.aggregation_ms < 1000.0
    assert 0.0 <= found.defence_cpu_seconds <= found.cpu_seconds + 0.01
    assert found.wall_seconds >= found.aggregation_ms * ROUNDS / 2000.0
    assert (found.decisions_a_round, found.decision_ms) == (0.0, None)
