"""Sums of clients that go away, at every stage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation import Aborted, Tolerance, lead
from adapters.secureaggregation.messages import Stage
from tests.adapters.secureaggregation.parties import Parties

STAGES: tuple[Stage, ...] = ("advertise", "share", "mask", "agree", "reveal")


def test_with_everybody_there_the_sum_is_right() -> None:
    parties = Parties(6)
    found = lead(parties.server, parties.clients, parties.words)
    assert found.clients == tuple(parties.names)
    np.testing.assert_array_equal(found.words, parties.expected(parties.names))


@pytest.mark.parametrize("stage", STAGES)
def test_whoever_goes_away_at_a_stage_is_in_the_sum_from_the_masked_values_on(stage: Stage) -> None:
    parties = Parties(8)
    gone = parties.names[2:4]
    found = lead(parties.server, parties.clients, parties.words, lambda name, at: not (name in gone and at == stage))
    left = [name for name in parties.names if name not in gone]
    expected = parties.names if stage in {"agree", "reveal"} else left
    assert found.clients == tuple(expected)
    np.testing.assert_array_equal(found.words, parties.expected(expected))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from([None, None, None, *STAGES]), min_size=9, max_size=9))
def test_the_sum_is_right_or_there_is_none(leaving: list[Stage | None]) -> None:
    parties = Parties(9)
    when = dict(zip(parties.names, leaving, strict=True))
    try:
        found = lead(parties.server, parties.clients, parties.words, lambda name, at: when[name] != at)
    except Aborted as error:
        assert error.cause == "too_few"
        assert sum(one is not None for one in leaving) > 2
        return
    expected = [name for name in parties.names if when[name] in {None, "agree", "reveal"}]
    assert found.clients == tuple(expected)
    np.testing.assert_array_equal(found.words, parties.expected(expected))


@pytest.mark.parametrize("stage", ["share", "mask", "agree", "reveal"])
def test_with_too_many_gone_there_is_no_sum(stage: Stage) -> None:
    parties = Parties(8)
    gone = parties.names[:5]
    with pytest.raises(Aborted) as raised:
        lead(parties.server, parties.clients, parties.words, lambda name, at: not (name in gone and at == stage))
    assert raised.value.cause == "too_few"


def test_a_hundred_clients_of_whom_a_fifth_goes_away() -> None:
    parties = Parties(100, Tolerance(colluding=0.1, dropped=0.25), length=2000)
    before, after = parties.names[:10], parties.names[10:20]
    when: dict[str, Stage] = {**dict.fromkeys(before, "mask"), **dict.fromkeys(after, "reveal")}
    found = lead(parties.server, parties.clients, parties.words, lambda name, at: when.get(name) != at)
    assert found.dropped == tuple(before)
    np.testing.assert_array_equal(found.words, parties.expected(parties.names[10:]))
