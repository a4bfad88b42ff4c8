"""Which requests a rule is for: paths in one spelling, and what they name."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.web import Rule
from adapters.web.rules import MAX_PATH_CHARS, is_plain

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/a/b.c", "/a.b/..c", "/a:b@c", "/caf%C3%A9", "/a%20b", "/a%2Bb", "/...", "/a/~b"]
)
def test_a_path_with_one_reading_is_plain(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize(
    "path",
    ["", "a", "*", "//", "//a", "/a//", "/.", "/..", "/a/..", "/%2e", "/%2E%2e/", "/%61", "/a%2fb", "/a%5cb", "/a\\b"],
)
def test_a_path_that_leads_elsewhere_is_not(path: str) -> None:
    assert not is_plain(path)


@pytest.mark.parametrize(
    "path",
    [
        "/a%00",
        "/a%0d%0a",
        "/%ff",
        "/%c3",
        "/%",
        "/%4",
        "/%zz",
        "/a b",
        "/a?b",
        "/a#b",
        "/é",
        "http://a/b",
        "/a%7f",
        "/a\n",
    ],
)
def test_a_path_with_more_readings_is_not(path: str) -> None:
    assert not is_plain(path)


def test_a_path_is_bounded() -> None:
    assert not is_plain("/" + "a" * MAX_PATH_CHARS)


@given(st.text(max_size=40))
def test_whatever_is_plain_decodes_to_what_encodes_back(text: str) -> None:
    path = "/" + text
    if is_plain(path):
        decoded = unquote(path, errors="strict")
        assert "\\" not in decoded
        assert decoded.count("/") == path.count("/")
        assert (
            quote(decoded, safe="/!$&'()*+,;=:@-._~").lower() == quote(unquote(path), safe="/!$&'()*+,;=:@-._~").lower()
        )


def test_the_places_of_a_path_name_things_and_nothing_else() -> None:
    rule = Rule("model_access", path="/models/{resource}/{digest}")
    assert rule.names(f"/models/intents/{DIGEST}") == ("intents", None, DIGEST)
    for path in [
        "/models/intents",
        f"/models//{DIGEST}",
        f"/models/a/b/{DIGEST}",
        "/models/intents/x",
        f"/models/%20/{DIGEST}",
    ]:
        assert rule.names(path) is None
    assert rule.names(f"/models/intents/{DIGEST.upper()}") is None


def test_what_is_no_place_is_taken_word_for_word() -> None:
    rule = Rule("inference", "intents", "/v1.0/infer(x)+")
    assert rule.names("/v1.0/infer(x)+") == ("intents", None, None)
    assert rule.names("/v1x0/infer(x)+") is None


def test_a_rule_without_a_path_is_for_every_path() -> None:
    assert Rule("inference", "intents").names("/anything/at/all") == ("intents", None, None)


@pytest.mark.parametrize("methods", ["POST", (), frozenset()])
def test_methods_that_cannot_be_are_refused(methods: object) -> None:
    with pytest.raises(ValueError, match="methods"):
        Rule("inference", "intents", methods=methods)  # type: ignore[arg-type]


def test_a_segment_that_may_be_anything_is_one_segment_and_names_nothing() -> None:
    rule = Rule("inference", "vibration", "/sites/{any}/pumps/{any}/score")
    assert rule.names("/sites/north/pumps/p%201/score") == ("vibration", None, None)
    for path in ["/sites/north/pumps/score", "/sites/a/b/pumps/p/score", "/sites//pumps/p/score", "/sites/a/pumps/p/"]:
        assert rule.names(path) is None


@pytest.mark.parametrize("path", ["/models/{digset}/infer", "/pumps/{pump}/score", "/a/{}", "/a/{Any}", "/a/{any:.*}"])
def test_a_place_that_nobody_knows_is_an_error_that_names_those_there_are(path: str) -> None:
    with pytest.raises(ValueError, match=r"is no place: there are \{resource\}.*\{any\}"):
        Rule("inference", "intents", path)


@pytest.mark.parametrize("path", ["infer", "/infer?x=1", "http://127.0.0.1/infer", "//infer", "/a/../b"])
def test_a_path_that_fits_no_request_is_an_error_that_says_what_one_is(path: str) -> None:
    with pytest.raises(ValueError, match="begins with one slash, and has no query"):
        Rule("inference", "intents", path)
