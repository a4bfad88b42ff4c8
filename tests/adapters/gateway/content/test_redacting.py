"""Blacking out: whole texts, and streams that end up as the whole would."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.content.interface import Found, Place
from adapters.gateway.content.redacting import HELD, MARKS, MOST_HELD, NeverEnding, StreamRedactor, redacted
from adapters.gateway.content.rules import Rules

RULES = Rules()
BOTH = ("secrets", "personal")
SECRETS = (
    "ada@example.org",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "BSN: 111222333",
    "ghp_" + "a1B2" * 9,
    "eyJ" + "hbGciOi" * 9 + ".eyJ" + "zdWIiOi" * 60 + "." + "c2lnbmF0dXJl" * 4,
    "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq\n" * 30 + "-----END PRIVATE KEY-----",
)


def look(text: str) -> Found:
    return RULES("answer", text)


def whole(text: str) -> str:
    return redacted(text, look(text).places, BOTH)


def streamed(pieces: list[str]) -> str:
    stream = StreamRedactor(BOTH, look)
    return "".join([*map(stream.push, pieces), stream.end()])


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_of_it_is_left(secret: str) -> None:
    found = whole(f"Take {secret} with you.")
    assert found.startswith("Take ")
    assert found.endswith(" with you.")
    assert any(mark in found for mark in MARKS.values())
    assert not any(part in found for part in secret.replace("BSN: ", "").split() if len(part) > 3)


def test_only_what_is_asked_for_is_blacked_out() -> None:
    text = "ada@example.org has ghp_" + "a1B2" * 9
    places = look(text).places
    assert redacted(text, places, ()) == text
    assert redacted(text, places, ("personal",)) == text.replace("ada@example.org", MARKS["personal"])
    assert redacted(text, places, ("secrets",)) == f"ada@example.org has {MARKS['secrets']}"


def test_places_that_overlap_get_one_mark() -> None:
    places = [Place(2, 6, "personal", "a"), Place(4, 8, "secrets", "b"), Place(8, 9, "personal", "c")]
    assert redacted("0123456789", places, BOTH) == f"01{MARKS['secrets']}{MARKS['personal']}9"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("size", [1, 3, 7, 64, 5000])
@pytest.mark.parametrize("before", [0, HELD - 5, 3 * HELD])
def test_a_stream_ends_up_as_the_whole(secret: str, size: int, before: int) -> None:
    text = ("words of an answer " * 60)[:before] + f" {secret} " + "and more of it " * 50
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert streamed(pieces) == whole(text)


@pytest.mark.parametrize(
    "secret",
    [
        "4111" + "\u200b" * 400 + "1111 1111" + "\ufe0f" * 400 + "1111",
        "password:" + " " * 400 + "hunter2hunter2",
        "api_key" + "\n" * 300 + "=" + "\t" * 300 + "hunter2hunter2",
    ],
)
@pytest.mark.parametrize("size", [1, 13])
def test_a_stream_sees_through_much_of_nothing(secret: str, size: int) -> None:
    text = "words of an answer " * 20 + secret + " and more of it" * 50
    assert streamed([text[at : at + size] for at in range(0, len(text), size)]) == whole(text)
    assert not {"1111", "hunter2hunter2"} & set(whole(text).replace("\u200b", " ").replace("\ufe0f", " ").split())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(SECRETS[:5]), st.text(string.printable + "éü", max_size=200)), max_size=8),
    st.integers(1, 50),
)
def test_no_way_of_cutting_shows_more(parts: list[str], size: int) -> None:
    text = " . ".join(parts)
    given_out = streamed([text[at : at + size] for at in range(0, len(text), size)])
    for secret in SECRETS[:5]:
        if secret not in whole(text):
            assert secret not in given_out


def test_little_is_kept_back() -> None:
    stream = StreamRedactor(BOTH, look)
    passed = sum(len(stream.push("some words ")) for _ in range(200))
    assert passed >= 200 * len("some words ") - 2 * HELD


def test_without_anything_to_black_out_all_passes_at_once() -> None:
    stream = StreamRedactor((), look)
    assert (stream.push("ada@"), stream.push("example.org"), stream.end()) == ("ada@", "example.org", "")


def test_terms_that_change_count_from_then_on() -> None:
    stream = StreamRedactor((), look)
    assert stream.push("ada@example.org ") == "ada@example.org "
    stream.kinds = frozenset(BOTH)
    assert stream.push("bob@example.org ") + stream.end() == MARKS["personal"] + " "


def test_what_never_ends_ends_the_stream() -> None:
    stream = StreamRedactor(BOTH, look)
    with pytest.raises(NeverEnding):
        for _ in range(2 * MOST_HELD // 64):
            stream.push("A" * 64)
