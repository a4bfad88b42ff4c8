"""What holds of each defence, whichever it is."""

import random

import pytest
import torch

from evaluation.comparison.defences import DEFENCES
from evaluation.comparison.interfaces import Aggregated, Received
from tests.evaluation.comparison.defences.cohorts import (
    ATTACKER,
    HONEST,
    STATE,
    attacked,
    common,
    flat,
    honest,
    received,
    scaled,
    towards,
)

REFUSING = ("multi_krum", "fltrust", "flame", "fltracer", "screening", "trust")
ROBUST = ("geometric_median", "nnm_trimmed_mean", *REFUSING)
NAMES = sorted(DEFENCES)


def after(name: str, *rounds: Received) -> Aggregated:
    """What a new defence makes of the last of some rounds."""
    defence = DEFENCES[name].made(0)
    return [defence.aggregate(one) for one in rounds][-1]


def against(turn: int = 1, factor: float = -3.0) -> Received:
    return attacked(scaled(common(), factor), turn)


def is_finite(found: Aggregated) -> bool:
    """Whether no number of it is NaN or infinite; a step that is none is."""
    values = [flat(found.step)] if found.step is not None else []
    return bool(torch.cat([*values, torch.tensor([*found.suspected.values(), 0.0])]).isfinite().all())


@pytest.mark.parametrize("name", REFUSING)
def test_one_who_pushes_three_times_the_other_way_is_refused_and_looks_worst(name: str) -> None:
    found = after(name, against(1), against(2))
    assert ATTACKER in found.refused
    assert max(found.suspected, key=lambda device: found.suspected[device]) == ATTACKER


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(REFUSING)))
def test_a_centre_refuses_nobody_and_yet_knows_who_is_far_off(name: str) -> None:
    found = after(name, against())
    assert not found.refused
    assert max(found.suspected, key=lambda device: found.suspected[device]) == ATTACKER


@pytest.mark.parametrize("name", ROBUST)
def test_one_enormous_update_turns_the_mean_and_no_other_defence(name: str) -> None:
    enormous = against(factor=-1000.0)
    assert towards(after("averaging", enormous).step, common()) < -0.9
    assert towards(after(name, enormous).step, common()) > 0.85


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"multi_krum", "flame"}))
def test_where_nobody_attacks_nobody_is_refused_though_homes_are_of_three_kinds(name: str) -> None:
    found = after(name, *(received(honest(turn), turn) for turn in (1, 2, 3)))
    assert not found.refused
    assert towards(found.step, common()) > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_updates_arrive_changes_nothing(name: str) -> None:
    one = against()
    shuffled = list(one.updates.items())
    random.Random(1).shuffle(shuffled)
    first, second = after(name, one), after(name, received(dict(shuffled)))
    assert first.refused == second.refused
    assert first.suspected == pytest.approx(second.suspected)
    assert first.step is not None
    assert second.step is not None
    assert torch.equal(flat(first.step), flat(second.step))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_devices_are_no_reason_to_fall(name: str, count: int) -> None:
    found = after(name, received(honest(count=count)))
    assert is_finite(found)
    assert (found.step is None) == (count == 0)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_update_has_no_part_and_leaves_no_trace_in_the_numbers(name: str) -> None:
    broken = {
        20: scaled(common(), float("nan")),
        21: scaled(common(), float("inf")),
        22: scaled(common(), 1e30),
        23: {"other": torch.ones(3)},
        24: {**common(), "head.bias": torch.ones(5)},
    }
    found = after(name, received({**honest(), **broken}))
    assert found.refused >= broken.keys()
    assert is_finite(found)
    assert towards(found.step, common()) > 0.85
    assert is_finite(after(name, received(broken)))
    assert after(name, received(broken)).step is None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_sent_and_the_same_sent_by_all_yield_numbers(name: str) -> None:
    nothing = received(dict.fromkeys(range(HONEST), scaled(common(), 0.0)))
    assert is_finite(after(name, nothing))
    assert is_finite(after(name, received(dict.fromkeys(range(HONEST), common()))))


@pytest.mark.parametrize("name", NAMES)
def test_a_defence_calls_itself_what_the_registry_does_and_gives_back_what_the_state_is_made_of(name: str) -> None:
    assert DEFENCES[name].made(0).name == name == DEFENCES[name].name
    found = after(name, received(honest()))
    assert found.step is not None
    assert {key: (value.shape, value.dtype) for key, value in found.step.items()} == {
        key: (value.shape, value.dtype) for key, value in STATE.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_only_what_says_so_needs_a_reference(name: str) -> None:
    bare = Received(1, STATE, honest(), dict.fromkeys(range(HONEST), 30))
    if "reference" in DEFENCES[name].needs:
        with pytest.raises(ValueError, match="needs a reference"):
            after(name, bare)
    else:
        assert after(name, bare).step is not None
