"""How much of everything the proxy takes, and for how long."""

from dataclasses import dataclass, fields

_KIB, _MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds on what may be asked and answered, and on what is held in memory.

    Attributes:
        request_bytes: of a request's body, which is read whole before anything is forwarded.
        answer_bytes: of an answer that is read whole.
        stream_bytes: of an answer that is passed on piece by piece.
        output_tokens: of an answer to a capability that names no limit.
        choices: answers to one request (``n``, ``best_of``, and prompts in a list).
        media_tokens: that a picture in a prompt is taken to have.
        bytes_per_token: by which tokens are counted where the upstream states none.
        window_chars: of a running answer that are judged at once. At most two and a half times as many are passed on
            unjudged, however much of it comes at once.
        window_overlap: characters of a window that are judged again with the next.
        window_seconds: after which what there is of a window is judged, though it is not full.
        requests: under way at once; more are asked to come again.
        requests_per_subject: under way at once for one subject.
        connections: open at once; more are closed.
        body_seconds: for a request's body to come.
        connect_seconds: for a connection to the upstream.
        answer_seconds: until the upstream begins to answer.
        stall_seconds: without a piece of the answer, or with a client that takes none.
        total_seconds: for the whole of a request and its answer.
        idle_seconds: that a connection may be open without a request.
        watch_seconds: after which it is looked again whether a capability still holds.
    """

    request_bytes: int = _MIB
    answer_bytes: int = 8 * _MIB
    stream_bytes: int = 64 * _MIB
    output_tokens: int = 4096
    choices: int = 8
    media_tokens: int = 4096
    bytes_per_token: float = 3.0
    window_chars: int = 400
    window_overlap: int = 80
    window_seconds: float = 1.0
    requests: int = 256
    requests_per_subject: int = 16
    connections: int = 1024
    body_seconds: float = 30.0
    connect_seconds: float = 5.0
    answer_seconds: float = 60.0
    stall_seconds: float = 30.0
    total_seconds: float = 300.0
    idle_seconds: float = 60.0
    watch_seconds: float = 0.1

    def __post_init__(self) -> None:
        """Refuse limits that would let nothing through, or let a revocation wait.

        Raises:
            ValueError: one is not above zero, or the standing of capabilities is looked at too seldom.
        """
        poor = [one.name for one in fields(self) if not getattr(self, one.name) > 0]
        if poor:
            raise ValueError(f"a limit of zero lets nothing through: give more than 0 for {', '.join(poor)}")
        if self.watch_seconds > 0.5:
            raise ValueError("a revocation cuts a running answer within a second: give watch_seconds of 0.5 or less")
        if self.window_overlap >= self.window_chars:
            raise ValueError("windows that overlap whole never end: give window_overlap below window_chars")
