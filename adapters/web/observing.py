"""What an enforcement point tells its signals of an inference that it let through, once it has been answered."""

from collections.abc import Awaitable, Callable
from typing import Any

from adapters.signals import Signals
from adapters.signals.reading import MAX_BYTES
from adapters.web.admission import Admitted


def observe(signals: Signals | None, admitted: Admitted, body: bytes, answer_bytes: int) -> None:
    """Take an inference that was answered; other requests are passed over.

    Args:
        signals: collect; none collects nothing.
        admitted: the request.
        body: as it came; empty where it was not read.
        answer_bytes: size of the answer.
    """
    if signals is not None and admitted.rule.action == "inference":
        signals.observe_body(admitted.subject, admitted.named.resource, body, answer_bytes)


class Overheard:
    """An ASGI ``receive`` that remembers the body as it passes, as far as signals look into one.

    Args:
        receive: of the server.
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self.body = bytearray()
        self._receive = receive

    async def __call__(self) -> Any:
        """Return the next message."""
        message = await self._receive()
        if len(self.body) <= MAX_BYTES:
            self.body += message.get("body", b"")[: MAX_BYTES + 1]
        return message
