"""Where a broker is, what a connection to it does not go beyond, and what it may answer."""

from dataclasses import dataclass

NO_SUBSCRIBERS = 0x10
NOT_AUTHORIZED = 0x87
TOO_LARGE = 0x95
TAKEN_OVER = 0x8E
"""Reason codes (MQTT 5 section 2.4)."""


@dataclass(frozen=True)
class Address:
    """Where a broker listens."""

    host: str
    port: int = 8883


@dataclass(frozen=True)
class LinkBounds:
    """What a connection does not go beyond.

    Attributes:
        session_seconds: how long the broker keeps the session while the connection is away.
        keepalive_seconds: without a word for so long either side takes the connection for lost.
        inflight: messages that are not acknowledged yet, in each direction.
        queued: messages that wait to be sent.
        contested_seconds: the longest pause where connections end right after they were made: somebody else may have
            the same name, and gets its time.
    """

    session_seconds: int = 3600
    keepalive_seconds: int = 20
    inflight: int = 8
    queued: int = 64
    contested_seconds: float = 40.0
