"""A form is read by name, once each, bounded, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.forms import parse_form
from controlplane.api.oauth_errors import OAuthError
from controlplane.contracts.oauth import OAuthProblem, TokenParameter, describable


def test_percent_encoding_is_undone() -> None:
    form = parse_form(b"token=a%2Bb%20c+d%C3%A4&token_type_hint=", TokenParameter)
    assert form == TokenParameter(token="a+b c dä")


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "form_unfit"),
        (b"token", "form_malformed"),
        (b"token=%c3%28", "form_malformed"),
        (b"token=x&token=x", "form_repeated"),
        (b"token=x&other=1&other=2", "form_repeated"),
        (b"token=" + b"x" * 8193, "form_unfit"),
        (b"&".join(b"a%d=1" % number for number in range(33)), "form_malformed"),
        (b"Token=x", "form_unfit"),
    ],
)
def test_what_cannot_be_read_is_refused(raw: bytes, cause: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_form(raw, TokenParameter)
    assert (caught.value.cause, caught.value.document.error) == (cause, "invalid_request")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_an_oauth_error(raw: bytes) -> None:
    try:
        form = parse_form(raw, TokenParameter)
    except OAuthError as error:
        assert error.document.error == "invalid_request"
    else:
        assert form.token


@given(st.text())
def test_any_text_can_be_described(text: str) -> None:
    OAuthProblem(error="invalid_request", error_description=describable(text))
