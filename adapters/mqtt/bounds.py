"""What a job over MQTT does not go beyond, whatever its clients and its broker do."""

from dataclasses import dataclass

from adapters.jobs import bounds

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Bounds(bounds.Bounds):
    """As `adapters.jobs.bounds.Bounds`, and what travels through the broker.

    Attributes:
        payload_bytes: of one message. Weights that are longer are refused before the job begins.
        inflight: messages that the broker may have sent and this side not have acknowledged; likewise the other way.
            So many payloads are in memory at most.
        queued: answers that wait to be sent; what comes beyond is dropped and counted.
        session_seconds: how long the broker keeps what comes for this side while its connection is away.
        broker_seconds: how long to wait for the broker, and for topics at it, before the job gives up.

    Raises:
        ValueError: a number is not above zero.
    """

    payload_bytes: int = 64 * MEBIBYTE
    inflight: int = 8
    queued: int = 256
    session_seconds: int = 300
    broker_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what bounds nothing, or everything."""
        super().__post_init__()
        if not all(
            value > 0
            for value in (self.payload_bytes, self.inflight, self.queued, self.session_seconds, self.broker_seconds)
        ):
            raise ValueError("bounds are above zero")
