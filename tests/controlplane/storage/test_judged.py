"""What came to rounds, with the decision on each: the same on every kind of store."""

from collections.abc import Callable

import pytest

from controlplane.contracts.identity import Device
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.storage import Store, judged
from controlplane.storage.contributions import add_contributions
from controlplane.storage.judged import LAST_TIME, Submitted
from tests.controlplane.behaving import observed, verdict
from tests.controlplane.storage.conftest import NOW

ACTION = "gradient_submission"


@pytest.fixture
async def rounds(store: Store, new_round: Callable[..., Round], new_device: Callable[..., Device]) -> list[Round]:
    """Two rounds, to which ``a`` contributed, and one to which something of ``b`` came that was dropped."""
    opened = [
        new_round(id=f"r{number}", opens_at=NOW + 100.0 * number, closes_at=NOW + 100.0 * number + 60)
        for number in (1, 2, 3)
    ]
    for one in opened:
        await store.rounds.add(one)
        await store.rounds.count_submissions(one.id, ["a", "b"])
    given = [
        Contribution(round_id=name, subject="a", update_digest=f"sha256:{'b' * 64}", decision_id=f"dec-{name}", time=at)
        for name, at in (("r1", NOW + 105.0), ("r2", NOW + 205.0))
    ]
    await store._database.write("contribute", lambda connection: add_contributions(connection, given))
    await store.devices.add(new_device(id="b"))
    for version, (channel, name) in enumerate((("updates", "r3"), ("access", None))):
        said = verdict("b", time=NOW + 305.0, round_id=name, channel=channel)
        await store.behaviour.apply([observed("b", version, verdict=said)])
    return opened


async def test_what_came_to_a_round_is_told_in_order_of_subject(store: Store, rounds: list[Round]) -> None:
    first = rounds[0]
    assert await store.judged.of_round("r1", "", 10) == [
        Submitted("r1", "a", 1, "dec-r1", first.opens_at, first.closes_at),
        Submitted("r1", "b", 1, None, first.opens_at, first.closes_at),
    ]
    assert [one.subject for one in await store.judged.of_round("r1", "a", 10)] == ["b"]
    assert len(await store.judged.of_round("r1", "", 1)) == 1
    await store.rounds.give_back_submissions("r1", ["b"])
    assert [one.subject for one in await store.judged.of_round("r1", "", 10)] == ["a"]
    assert await store.judged.of_round("a\0b", "", 10) == []


@pytest.mark.usefixtures("rounds")
async def test_a_subject_s_rounds_are_those_that_something_is_known_of(store: Store) -> None:
    assert [one.round_id for one in await store.judged.of_subject("a", 10)] == ["r2", "r1"]
    assert [one.round_id for one in await store.judged.of_subject("b", 10)] == ["r3"]
    assert await store.judged.of_subject("\ud800", 10) == []


@pytest.mark.usefixtures("rounds")
async def test_verdicts_on_updates_alone_are_told_within_a_time(store: Store) -> None:
    assert [one.round_id for one in await store.judged.verdicts({"a", "b"}, 0.0, LAST_TIME)] == ["r3"]
    assert await store.judged.verdicts({"b"}, 0.0, NOW + 304.0) == []
    assert await store.judged.verdicts({"b"}, NOW + 306.0, LAST_TIME) == []


async def test_refusals_are_told_newest_first_as_far_back_as_is_looked(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        ("dec-1", NOW, ACTION, "a", "deny", b"1"),
        ("dec-2", NOW, ACTION, "a", "allow", b"2"),
        ("dec-3", NOW, "inference", "a", "deny", b"3"),
        ("dec-4", NOW, ACTION, "b", "deny", b"4"),
        ("dec-5", NOW, ACTION, "a", "error", b"5"),
        ("dec-6", NOW, ACTION, "a", "deny", b"6"),
    ]
    await store.decisions.add_many(rows)
    assert await store.judged.refused({"a"}, "dec-0", "dec-6") == [("dec-5", b"5"), ("dec-1", b"1")]
    assert await store.judged.refused({"a", "b"}, "dec-1", "dec-9") == [
        ("dec-6", b"6"),
        ("dec-5", b"5"),
        ("dec-4", b"4"),
    ]
    monkeypatch.setattr(judged, "MAX_SCAN", 3)
    assert await store.judged.refused({"a"}, "dec-0", "dec-6") == [("dec-5", b"5")]
