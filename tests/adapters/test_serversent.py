from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.serversent import MAX_EVENT_BYTES, EventReader, ServerEvent, TooLong

STREAM = (
    b"\xef\xbb\xbf: hello\n\nid: 7\nevent: security-event\ndata: a.b.c\n\n"
    b"data:one\r\ndata: two\r\nretry: 10\r\n\r\nid: 8\revent: keepalive\rdata: x\r\r"
    b"event: nothing\n\nid: n\0o\ndata:  spaced\n\ndata: unfinished"
)
EVENTS = [
    ServerEvent("security-event", "a.b.c", "7"),
    ServerEvent("message", "one\ntwo", None),
    ServerEvent("keepalive", "x", "8"),
    ServerEvent("message", " spaced", None),
]


def test_a_stream_is_read_as_the_standard_says() -> None:
    assert EventReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_it_makes_no_difference_how_a_stream_is_cut(cuts: list[int]) -> None:
    reader, found, at = EventReader(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += reader.feed(STREAM[at:cut])
        at = cut
    assert found == EVENTS


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        EventReader().feed(data)


@pytest.mark.parametrize(
    "data", [b"data: " + b"x" * MAX_EVENT_BYTES, b"data: x\n" * 20_000, b"x" * (MAX_EVENT_BYTES + 1)]
)
def test_an_event_without_end_is_not_kept(data: bytes) -> None:
    with pytest.raises(TooLong):
        EventReader().feed(data)


def test_a_stream_of_short_events_may_go_on_for_ever() -> None:
    reader = EventReader()
    assert sum(len(reader.feed(b"data: x\n\n" * 1000)) for _ in range(100)) == 100_000
