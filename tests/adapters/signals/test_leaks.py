"""Credentials in queries: found by their form. The examples are put together here, so that none stands in a file."""

import pytest

from adapters.signals.leaks import MAX_CHARS, holds_secret, secret_places

HELD = (
    "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQ",
    "my token is eyJ" + "hbGciOiJFUzI1NiJ9" + ".eyJ" + "zdWIiOiJkZXYtMSJ9" + ".c2lnbmF0dXJlLi4u",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "use ghp_" + "a" * 36,
    "xoxb-" + "1234567890-abc",
    "ztfm-enrol-" + "abcdefghijklmnopqrst",
    "password: " + "correct-horse",
    'API_KEY="' + "0123456789abcdef" + '"',
)

NONE = (
    "turn on the light",
    "what is a private key?",
    "how do I reset my password",
    "password: short",
    "the secret of good bread is time",
    "AKIA",
    "",
)


@pytest.mark.parametrize("text", HELD)
def test_what_has_the_form_of_a_credential_is_one(text: str) -> None:
    assert holds_secret(text)
    assert holds_secret(f"please check this:\n{text}\nthanks")


@pytest.mark.parametrize("text", NONE)
def test_what_only_speaks_of_one_is_none(text: str) -> None:
    assert not holds_secret(text)


def test_every_place_is_given_out_and_a_private_key_to_its_end() -> None:
    begins = "-----BEGIN " + "PRIVATE KEY-----\nMII"
    key = begins + "E\n-----END PRIVATE KEY-----"
    token = "ghp_" + "a1B2" * 9
    text = f"{'x' * MAX_CHARS} {token}, {key} and {token}; {begins}"
    assert [text[start:end] for start, end in secret_places(text)] == [
        token,
        key,
        token,
        begins,
    ]
    assert list(secret_places("turn on the light")) == []
