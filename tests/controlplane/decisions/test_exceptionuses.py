"""Uses of exceptions are added up until they are written, and are not lost when they cannot be."""

from controlplane.decisions.exceptionuses import ExceptionUses
from controlplane.storage.exceptions import Uses


def test_uses_add_up_until_they_are_taken() -> None:
    uses = ExceptionUses()
    uses.add(["exc-1"], 5.0)
    uses.add(["exc-1", "exc-2"], 4.0)
    assert uses.take() == {"exc-1": Uses(2, 5.0), "exc-2": Uses(1, 4.0)}
    assert uses.take() == {}


def test_what_could_not_be_written_is_counted_with_what_came_meanwhile() -> None:
    uses = ExceptionUses()
    uses.add(["exc-1"], 5.0)
    taken = uses.take()
    uses.add(["exc-1"], 6.0)
    uses.give_back(taken)
    assert uses.take() == {"exc-1": Uses(2, 6.0)}


def test_names_in_a_bundle_are_no_rows_to_count_in() -> None:
    uses = ExceptionUses()
    uses.add(["attestation-move", "exception"], 5.0)
    assert uses.take() == {}
