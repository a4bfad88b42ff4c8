"""What travels beside a payload, written and read back; nothing of it is believed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters.mqtt.envelope import properties_of, read_letter
from adapters.mqtt.topics import from_topic, job_topic, sender_of, to_topic

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"), max_size=60)
FIELDS = st.dictionaries(st.sampled_from(["ask", "capability", "proof", "round", "digest", "examples"]), TEXT)


def carried(properties: Properties, payload: bytes = b"") -> MQTTMessage:
    """Return a message as it arrives, its properties packed and unpacked."""
    message: Any = MQTTMessage()
    message.properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    message.properties.unpack(properties.pack())  # type: ignore[no-untyped-call]
    message.payload = payload
    return message  # type: ignore[no-any-return]


@given(FIELDS, st.binary(max_size=64), st.binary(max_size=100))
def test_what_is_written_is_read(fields: dict[str, str], correlation: bytes, payload: bytes) -> None:
    written = properties_of(fields, content_type="text/plain", reply_to="a/b", correlation=correlation)
    letter = read_letter(carried(written, payload))
    assert letter is not None
    assert letter.fields == fields
    assert (letter.payload, letter.correlation, letter.reply_to) == (payload, correlation, "a/b")
    assert letter.content_type == "text/plain"


@pytest.mark.parametrize(
    "pairs",
    [
        [("ask", "pull"), ("ask", "pull")],
        [("proof", "x" * 8193)],
        [(f"name-{number}", "") for number in range(33)],
    ],
    ids=["twice", "too-long", "too-many"],
)
def test_what_could_be_read_in_two_ways_or_is_too_much_is_no_letter(pairs: list[tuple[str, str]]) -> None:
    properties: Any = properties_of({})
    properties.UserProperty = pairs
    assert read_letter(carried(properties)) is None


def test_names_that_nobody_knows_are_passed_over() -> None:
    letter = read_letter(carried(properties_of({"ask": "pull", "vendor": "1"})))
    assert letter is not None
    assert letter.fields == {"ask": "pull"}


def test_correlation_data_is_short() -> None:
    assert read_letter(carried(properties_of({}, correlation=b"x" * 65))) is None


@given(TEXT)
def test_a_sender_is_one_level_of_its_own_topic(name: str) -> None:
    is_level = bool(name) and "/" not in name
    assert sender_of("point", from_topic("point", name)) == (name if is_level else None)
    for other in (to_topic("point", name), job_topic("point"), from_topic("other", name)):
        assert sender_of("point", other) is None
