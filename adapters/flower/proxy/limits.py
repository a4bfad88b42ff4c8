"""How much of everything the proxy takes."""

from dataclasses import dataclass

_KIB, _MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds on what may be asked, and on what is held in memory.

    Attributes:
        request_bytes: of a request that is read whole: everything but a pushed object.
        object_bytes: of a pushed object. It is passed on piece by piece.
        record_bytes: of an object that is pulled without a capability: a record without arrays.
        answer_bytes: of an answer that is read whole: everything but a pulled object and an app.
        app_bytes: of an app (FAB).
        objects: in one message.
        requests: under way at once; more are asked to come again.
        connections: open at once; more are closed.
        seconds: for a whole request.
        upstream_seconds: of these, for the SuperLink.
        connect_seconds: for a connection to the SuperLink.
        idle_seconds: that a connection may be open without a request.
    """

    request_bytes: int = 8 * _MIB
    object_bytes: int = 64 * _MIB
    record_bytes: int = 64 * _KIB
    answer_bytes: int = 16 * _MIB
    app_bytes: int = 64 * _MIB
    objects: int = 100_000
    requests: int = 128
    connections: int = 1024
    seconds: float = 120.0
    upstream_seconds: float = 100.0
    connect_seconds: float = 5.0
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse limits that would let nothing through.

        Raises:
            ValueError: one is not above zero.
        """
        if not all(value > 0 for value in vars(self).values()):
            raise ValueError("a limit of zero lets nothing through: give limits above zero")
