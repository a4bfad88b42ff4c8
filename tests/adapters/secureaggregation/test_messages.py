"""What travels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.secureaggregation.messages import (
    Advertisement,
    Delivery,
    Masked,
    Revealed,
    Roster,
    Sharing,
    Survivors,
    read,
    read_masked,
    write,
    write_masked,
)
from tests.adapters.secureaggregation.parties import Parties

KINDS = (Advertisement, Roster, Sharing, Delivery, Survivors, Revealed)


def test_every_message_comes_back_as_it_was_written() -> None:
    parties = Parties(5).advertise()
    sharing = parties.clients[parties.names[0]].share(parties.roster)
    for message in (parties.roster, sharing):
        assert read(type(message), write(message)) == message  # type: ignore[type-var]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_no_message(raw: bytes) -> None:
    for kind in KINDS:
        found = read(kind, raw)  # type: ignore[type-var]
        assert found is None or read(kind, write(found)) == found  # type: ignore[type-var]
    found_masked = read_masked(raw, 8)
    assert found_masked is None or len(found_masked.vector) == 8


def test_a_masked_vector_comes_back_as_it_was_written() -> None:
    found = read_masked(write_masked(Masked(b"abcdefgh", (3, 5))), 8)
    assert found is not None
    assert (bytes(found.vector), found.unusable) == (b"abcdefgh", (3, 5))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10, -1])
def test_a_masked_vector_that_was_cut_off_is_none(cut: int) -> None:
    assert read_masked(write_masked(Masked(b"abcdefgh", (3,)))[:cut], 8) is None


@pytest.mark.parametrize("places", [[-1], [4096], ["0"], [True], [0.5]])
def test_places_are_whole_numbers_within_bounds(places: list[object]) -> None:
    assert read(Survivors, f'{{"places": {str(places).replace(chr(39), chr(34)).lower()}}}'.encode()) is None
