"""Logs are structured, and what looks like a secret is replaced."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from controlplane.telemetry.logs import REDACTED, configure_logs, redact, redact_event


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, kept = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**kept)


@pytest.mark.parametrize("name", ["token", "access_token", "DPoP", "proof", "Authorization", "password", "private_key"])
def test_a_field_that_is_named_like_a_secret_is_replaced(name: str) -> None:
    assert redact_event(None, "", {name: "value", "other": 1}) == {name: REDACTED, "other": 1}


@given(st.from_regex(r"eyJ[A-Za-z0-9_-]{8,40}(\.[A-Za-z0-9_-]{1,40}){0,2}", fullmatch=True), st.text(max_size=20))
def test_a_token_anywhere_in_a_text_is_replaced(token: str, around: str) -> None:
    shown = redact(f"{around} {token} {around}")
    assert isinstance(shown, str)
    assert token not in shown or token in around


def test_nested_values_are_looked_through() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.e30.x"
    assert redact({"a": [token, 1], "secret": "s"}) == {"a": [REDACTED, 1], "secret": REDACTED}


def test_a_line_is_one_json_object_with_level_and_time() -> None:
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    structlog.get_logger().bind().info("happened", decision_id="dec-1")
    structlog.get_logger().bind().debug("detail")
    logging.getLogger("library").warning("from a library")
    logging.getLogger("library").info("chatter")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["event"], first["level"], first["decision_id"]) == ("happened", "info", "dec-1")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"]) == ("from a library", "library")


def test_configuring_twice_writes_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(stream=first)
    configure_logs(stream=second, json=False)
    logging.getLogger("library").error("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
