"""How a simulation that nobody waits for any more comes to its end: in order, at its next word to the nodes."""

import time
from collections.abc import Iterable
from threading import Event

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

PULL_SECONDS = 0.1


class RunIsOver(Exception):  # noqa: N818 - a state, not a fault
    """Ends a thread of a run that was interrupted, or failed elsewhere."""


class EndingGrid(Grid):  # type: ignore[misc] # flwr is read without its types
    """A grid that works until ``is_over`` is set; from then on all that reaches nodes raises `RunIsOver`.

    Args:
        grid: reaches the nodes.
        is_over: may be set from any thread.
    """

    def __init__(self, grid: Grid, is_over: Event) -> None:
        self._grid = grid
        self._is_over = is_over

    def set_run(self, run: Run) -> None:
        """Set the run that messages belong to."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Create a message, as Flower's older strategies do."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Every node's identifier."""
        return list(self._going().get_node_ids())

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; return their identifiers."""
        return list(self._going().push_messages(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that have come to messages with these identifiers."""
        return list(self._going().pull_messages(message_ids))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send messages and wait for the replies, ``timeout`` seconds at most; without it, for as long as it takes."""
        waiting = set(self.push_messages(messages))
        end = None if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and (end is None or time.monotonic() < end):
            arrived = list(self.pull_messages(waiting))
            replies += arrived
            waiting -= {reply.metadata.reply_to_message_id for reply in arrived}
            if waiting:
                self._is_over.wait(PULL_SECONDS)
        return replies

    def _going(self) -> Grid:
        if self._is_over.is_set():
            raise RunIsOver
        return self._grid
