"""How far a reader has come: small however long the ledger, and enough to go back."""

from itertools import pairwise

import pytest

from controlplane.identity.ledgers.evm.cursors import Cursor, Seen, parse_cursor

CONTRACT = "0x" + "ab" * 20


def seen(number: int) -> Seen:
    return Seen(number=number, place=f"0x{number:064x}", block=f"0x{number:064x}", name="n" * 110 + str(number))


def test_a_cursor_stays_small_and_is_dense_near_the_end() -> None:
    cursor = parse_cursor(None, 1, CONTRACT)
    for number in range(1, 20_001):
        cursor = cursor.after([seen(number)], seen(number))
    numbers = [one.number for one in cursor.seen]
    assert (numbers[0], numbers[-1], cursor.number) == (1, 20_000, 20_000)
    assert numbers[-2] >= 19_990
    for earlier, later in pairwise(numbers[1:-1]):
        assert 20_000 - earlier <= 80 * (20_000 - later)
    assert parse_cursor(cursor.model_dump_json(), 1, CONTRACT) == cursor
    assert len(cursor.model_dump_json()) < 4096


def test_going_back_reads_the_last_that_is_remembered_again() -> None:
    cursor = parse_cursor(None, 1, CONTRACT).after([seen(1), seen(4)], seen(4)).after([seen(5), seen(9)], seen(9))
    back = cursor.back_to(2)
    assert (back.number, back.seen[-1].number) == (4, 5)
    again = back.after([seen(5), seen(6)], seen(6))
    assert (again.number, [one.number for one in again.seen][-1]) == (6, 6)
    assert parse_cursor(back.model_dump_json(), 1, CONTRACT) == back
    assert cursor.back_to(0) == parse_cursor(None, 1, CONTRACT)


def test_what_is_no_record_moves_the_cursor_and_is_not_remembered_as_one() -> None:
    cursor = parse_cursor(None, 1, CONTRACT).after([seen(1)], seen(3))
    assert (cursor.number, [one.number for one in cursor.seen]) == (3, [1])
    assert cursor.tip == seen(3)
    assert cursor.after([], seen(5)).number == 5
    assert cursor.after([seen(5)], seen(5)).tip is None


@pytest.mark.parametrize(
    "wrong",
    [
        Cursor(chain=2, contract=CONTRACT),
        Cursor(chain=1, contract="0x" + "cd" * 20),
        Cursor(chain=1, contract=CONTRACT, number=5),
        Cursor(chain=1, contract=CONTRACT, number=9, seen=(seen(4),)),
        Cursor(chain=1, contract=CONTRACT, number=4, seen=(seen(4), seen(4))),
        Cursor(chain=1, contract=CONTRACT, number=4, seen=(seen(5), seen(4))),
        Cursor(chain=1, contract=CONTRACT, number=4, seen=(seen(1),), tip=seen(3)),
        Cursor(chain=1, contract=CONTRACT, number=4, seen=(seen(4),), tip=seen(4)),
    ],
)
def test_a_cursor_that_contradicts_itself_or_is_of_another_ledger_is_refused(wrong: Cursor) -> None:
    with pytest.raises(ValueError, match="cursor"):
        parse_cursor(wrong.model_dump_json(), 1, CONTRACT)
