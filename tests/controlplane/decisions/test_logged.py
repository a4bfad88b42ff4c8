"""The store is asked for no less than a query wants."""

import pytest

from controlplane.contracts.decision import DecisionQuery
from controlplane.decisions.ids import first_id, new_id
from controlplane.decisions.logged import wanted_by
from controlplane.storage.decisions import LAST_ID


@pytest.mark.parametrize("time", [0.0, 1.0, 1_764_000_000.0, 1_764_000_000.1234, 1_764_000_000.9999])
def test_bounds_by_id_hold_every_decision_of_the_time(time: float) -> None:
    wanted = wanted_by(DecisionQuery(since=time, until=time + 5))
    for moment in (time, time + 0.0005, time + 4.9999):
        assert wanted.floor < new_id("dec", moment) < wanted.before
    assert wanted.before < new_id("dec", time + 6)
    assert time < 1 or new_id("dec", time - 1) < wanted.floor
    assert first_id("dec", time) == wanted.floor


def test_a_page_goes_on_within_the_bounds() -> None:
    place = new_id("dec", 100.0)
    assert wanted_by(DecisionQuery(), place).before == place
    assert wanted_by(DecisionQuery(until=50.0), place).before == first_id("dec", 50.001)
    assert wanted_by(DecisionQuery()).before == LAST_ID


@pytest.mark.parametrize(
    ("action", "kept_as"),
    [
        (None, ()),
        ("inference", ("inference",)),
        ("admin", ("admin",)),
        ("key:rotate", ("admin", "other", "site")),
        ("Open the door", ("admin", "other", "site")),
    ],
)
def test_an_action_of_many_is_looked_for_where_it_is_kept(action: str | None, kept_as: tuple[str, ...]) -> None:
    assert wanted_by(DecisionQuery(action=action)).actions == kept_as
