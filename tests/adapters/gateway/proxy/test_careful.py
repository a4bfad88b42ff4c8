"""Text that runs a word behind: cut anywhere, it comes out as it went in, without what is to be blacked out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.content import Rules
from adapters.gateway.content import redacted as without
from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy.careful import EVERYTHING, MOST_KEPT, Careful
from adapters.gateway.proxy.shaping import Unshapable

PLACE = re.compile(r"key-[a-z0-9]+|[0-9]{4}(?: [0-9]{4})+")
PIECES = st.lists(
    st.sampled_from(
        ["a", " ", "key", "-", "k", "ab9 ", "1234", " 5678", " on", "grün ", "\n", "日本語", "key-x1 ", "."]
    ),
    max_size=30,
)


def redacted(terms: Terms, text: str) -> str:
    return PLACE.sub("#", text) if terms.redact else text


def run(pieces: list[str], terms: Terms) -> str:
    careful, out = Careful(redacted), ""
    for piece in pieces:
        careful.add(piece)
        out += careful.release(terms)
    return out + careful.end(terms)


@given(PIECES)
@settings(max_examples=60, deadline=None)
def test_what_goes_in_comes_out_where_nothing_is_to_be_blacked_out(pieces: list[str]) -> None:
    assert run(pieces, Terms("")) == "".join(pieces)


@given(PIECES)
@settings(max_examples=100, deadline=None)
def test_what_is_to_be_blacked_out_never_goes_by(pieces: list[str]) -> None:
    assert run(pieces, EVERYTHING) == redacted(EVERYTHING, "".join(pieces))


def test_what_has_begun_to_go_by_is_not_gone_on_with() -> None:
    def several(terms: Terms, text: str) -> str:
        return text.replace("open sesame now", "#") if terms.redact else text

    careful = Careful(several)
    careful.add("say open sesame")
    assert careful.release(EVERYTHING) == "say open "
    careful.add(" now ")
    with pytest.raises(Unshapable):
        careful.release(EVERYTHING)


@given(PIECES)
@settings(max_examples=100, deadline=None)
def test_no_more_than_the_last_word_and_numbers_before_it_is_kept(pieces: list[str]) -> None:
    careful, came, out = Careful(redacted), "", ""
    for piece in pieces:
        careful.add(piece)
        came, out = came + piece, out + careful.release(Terms(""))
        words = came[len(out) :].split()
        assert all(any(char.isdigit() for char in word) for word in words[:-1])


def test_words_go_by_one_after_another() -> None:
    careful = Careful(redacted)
    out = []
    for word in ("turn", " the", " light", " 12", " 34", " on", " now"):
        careful.add(word)
        out.append(careful.release(Terms("")))
    assert out == ["", "turn ", "the ", "light ", "", "", "12 34 on "]


def test_a_word_that_goes_on_and_on_is_not_kept_for_ever() -> None:
    careful = Careful(redacted)
    careful.add("a" * (MOST_KEPT + 500))
    assert len(careful.release(EVERYTHING)) > MOST_KEPT


def test_what_does_not_end_is_given_up() -> None:
    careful = Careful(redacted)
    careful.add("key-" + "a" * (MOST_KEPT + 1))
    with pytest.raises(Unshapable):
        careful.release(EVERYTHING)


def looked_at(terms: Terms, text: str) -> str:
    return without(text, Rules()("answer", text).places, terms.redact)


UNSEEN = "\u200b"
HIDDEN = (
    UNSEEN.join("ghp_" + "a1B2" * 9),
    (80 * UNSEEN).join("ada@example.org"),
    (80 * UNSEEN).join("DE89370400440532013000"),
    "4111" + 3000 * UNSEEN + "1111 1111" + 400 * "\ufe0f" + "1111",
    "password:" + 400 * " " + "hunter2hunter2",
    "api_key" + 300 * "\n" + "=" + 300 * "\t" + "hunter2hunter2",
    "password:" + 3000 * UNSEEN + "hunter2hunter2",
)


@pytest.mark.parametrize("hidden", HIDDEN, ids=range(len(HIDDEN)))
@pytest.mark.parametrize("size", [1, 400])
def test_nothing_goes_by_for_what_nobody_sees_in_it(hidden: str, size: int) -> None:
    text, careful, out = f"words of an answer {hidden} and more", Careful(looked_at), ""
    try:
        for at in range(0, len(text), size):
            careful.add(text[at : at + size])
            out += careful.release(EVERYTHING)
        out += careful.end(EVERYTHING)
    except Unshapable:
        assert out, "it ends where it must, and not before"
    told = "".join(char for char in out if not char.isspace() and char not in (UNSEEN, "\ufe0f"))
    whole = "".join(char for char in hidden if not char.isspace() and char not in (UNSEEN, "\ufe0f"))
    assert whole not in told
    assert "hunter2" not in told


@pytest.mark.parametrize("blank", [UNSEEN, " ", "a" + UNSEEN, "1 "])
def test_what_nobody_sees_does_not_make_it_keep_more_and_more(blank: str) -> None:
    careful = Careful(redacted)
    with pytest.raises(Unshapable):
        for _ in range(200):
            careful.add(200 * UNSEEN + blank)
            careful.release(Terms(""))
