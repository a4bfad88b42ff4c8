"""What was spent is counted exactly, once, and never less than it was, whatever dies in between."""

import multiprocessing
import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.site.errors import SiteFault
from adapters.site.ledger import BILLION, Charge, Ledger, Spent, billionths, month_of
from controlplane.contracts.site import UpdateFact

MAY = "2026-05"


def charge(number: int, epsilon: float | None = 0.1, model: str = "m") -> Charge:
    return Charge(model, "r", f"sha256:{number:064x}", None if epsilon is None else billionths(epsilon))


def reserved(ledger: Ledger, *charges: Charge, month: str = MAY) -> None:
    for one in charges:
        with ledger.opened() as entry:
            entry.reserve(one, month)


def settled(ledger: Ledger, one: Charge, *, is_spent: bool) -> None:
    with ledger.opened() as entry:
        entry.settle(one, is_spent=is_spent)


def spent(ledger: Ledger, month: str = MAY) -> Spent:
    with ledger.opened() as entry:
        return entry.spent("m", month)


def test_a_tenth_ten_times_is_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, *(charge(number) for number in range(10)))
    assert spent(ledger) == Spent(BILLION, BILLION)


@given(st.floats(0.0, 1e6))
def test_what_is_counted_is_never_less_than_what_is_said(epsilon: float) -> None:
    counted = Fraction(billionths(epsilon), BILLION)
    assert 0 <= counted - Fraction(repr(epsilon)) < Fraction(1, BILLION)


def test_a_reservation_counts_before_it_is_settled_and_after(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1))
    before = spent(ledger)
    settled(ledger, charge(1), is_spent=True)
    assert spent(ledger) == before == Spent(BILLION // 10, BILLION // 10)


def test_what_did_not_go_out_is_not_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1))
    settled(ledger, charge(1), is_spent=False)
    assert spent(ledger) == Spent(0, 0)


def test_one_update_counts_once_and_stays_counted_when_it_is_refused_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1))
    settled(ledger, charge(1), is_spent=True)
    with ledger.opened() as entry:
        assert entry.more(charge(1)) == 0
        assert entry.more(charge(1, 0.3)) == 2 * BILLION // 10
    reserved(ledger, charge(1))
    settled(ledger, charge(1), is_spent=False)
    assert spent(ledger).total == BILLION // 10


def test_who_gives_up_does_not_take_back_what_another_waits_for(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1), charge(1))
    settled(ledger, charge(1), is_spent=False)
    assert spent(ledger).total == BILLION // 10
    settled(ledger, charge(1), is_spent=True)
    assert spent(ledger).total == BILLION // 10


def test_months_and_models_are_apart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1), charge(2, model="n"))
    reserved(ledger, charge(3), month="2026-06")
    assert spent(ledger) == Spent(BILLION // 10, 2 * BILLION // 10)
    assert month_of(1_780_271_999.9) == "2026-05"
    assert month_of(1_780_272_000.0) == "2026-06"


def test_what_is_not_committed_was_never_there(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(RuntimeError), ledger.opened() as entry:
        entry.reserve(charge(1), MAY)
        raise RuntimeError
    assert spent(ledger) == Spent(0, 0)


def _reserve_and_die(folder: Path, number: int) -> None:
    import os

    ledger = Ledger(folder)
    with ledger.opened() as entry:
        entry.reserve(charge(number), MAY)
    os._exit(9)


def test_a_process_that_dies_with_a_reservation_leaves_it_counted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for number in range(2):
        process = context.Process(target=_reserve_and_die, args=(tmp_path, number))
        process.start()
        process.join(30)
        assert process.exitcode == 9
    assert spent(Ledger(tmp_path)).total == 2 * BILLION // 10


def test_who_waits_for_the_ledger_too_long_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.site.ledger._WAIT_SECONDS", 0.05)
    ledger = Ledger(tmp_path)
    with ledger.opened(), pytest.raises(SiteFault, match="locked"), ledger.opened():
        pass


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be taken for one" * 20])
def test_a_ledger_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(content)
    with pytest.raises(SiteFault) as raised, Ledger(tmp_path).opened():
        pass
    assert raised.value.code == "ledger_unavailable"


def test_a_sum_that_was_made_smaller_than_nothing_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reserved(ledger, charge(1))
    with sqlite3.connect(tmp_path / "ledger.sqlite3") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE spending SET billionths = -1")
    connection.close()


def test_what_is_said_of_an_update_later_stands_beside_what_was_said_before(tmp_path: Path) -> None:
    ledger, digest = Ledger(tmp_path), "sha256:" + "1" * 64
    for said in ({"epsilon": 1.5, "examples": 5}, {"norm": 2.0, "examples": 6}):
        with ledger.opened() as entry:
            entry.describe(UpdateFact.model_validate({"digest": digest, **said}))
    with ledger.opened() as entry:
        assert entry.described(digest) == UpdateFact(digest=digest, norm=2.0, examples=6, epsilon=1.5)


def test_the_newest_descriptions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.site.ledger.KEPT_DESCRIPTIONS", 3)
    ledger = Ledger(tmp_path)
    digests = [f"sha256:{number:064x}" for number in range(5)]
    for number, digest in enumerate(digests):
        with ledger.opened() as entry:
            entry.describe(UpdateFact(digest=digest, examples=number))
    with ledger.opened() as entry:
        found = [entry.described(digest).examples for digest in digests]
    assert found == [None, None, 2, 3, 4]
