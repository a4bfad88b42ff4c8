"""What travels in a message beside its payload: user properties, response topic, correlation data, expiry (MQTT 5).

User properties are pairs of texts. Each name is there once; names that nobody knows are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

JSON = "application/json"

Ask = Literal["announce", "pull", "submit", "renew"]
"""What a device asks: user property ``ask``."""

ASKS: frozenset[str] = frozenset({"announce", "pull", "submit", "renew"})

MAX_CORRELATION_BYTES = 64
_NAMES = frozenset(
    {
        "ask",
        "capability",
        "content",
        "digest",
        "examples",
        "incarnation",
        "proof",
        "round",
        "status",
        "subject",
    }
)
_MOST = 32
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it came; nothing of it is believed.

    Attributes:
        fields: user properties by name, each once.
        payload: as it came.
        content_type: of the payload; empty where it is not said.
        reply_to: where the sender wants the answer; empty where it wants none.
        correlation: goes back with the answer.
    """

    fields: Mapping[str, str]
    payload: bytes
    content_type: str = ""
    reply_to: str = ""
    correlation: bytes = b""

    def field(self, name: str) -> str:
        """Return a user property, empty where it is not there."""
        return self.fields.get(name, "")


def read_letter(message: MQTTMessage) -> Letter | None:
    """Return a message as a letter, or none where a property is there twice, too long, or too many are."""
    properties = message.properties
    pairs: list[tuple[str, str]] = getattr(properties, "UserProperty", [])
    correlation = bytes(getattr(properties, "CorrelationData", b""))
    if len(pairs) > _MOST or len(correlation) > MAX_CORRELATION_BYTES:
        return None
    known = [(name, value) for name, value in pairs if name in _NAMES]
    fields = dict(known)
    if len(fields) != len(known) or any(len(value) > _LONGEST for value in fields.values()):
        return None
    return Letter(
        fields,
        bytes(message.payload),
        content_type=str(getattr(properties, "ContentType", "")),
        reply_to=str(getattr(properties, "ResponseTopic", "")),
        correlation=correlation,
    )


def properties_of(
    fields: Mapping[str, str],
    *,
    content_type: str = "",
    reply_to: str = "",
    correlation: bytes = b"",
    expiry_seconds: float | None = None,
) -> Properties:
    """Return the properties of a message.

    Args:
        fields: user properties.
        content_type: of the payload.
        reply_to: response topic.
        correlation: correlation data.
        expiry_seconds: how long the broker keeps it for whoever is away, at least one; none for as long as it can.
    """
    found: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
    if fields:
        found.UserProperty = list(fields.items())
    if content_type:
        found.ContentType = content_type
    if reply_to:
        found.ResponseTopic = reply_to
    if correlation:
        found.CorrelationData = correlation
    if expiry_seconds is not None:
        found.MessageExpiryInterval = max(1, int(expiry_seconds))
    return found  # type: ignore[no-any-return]
