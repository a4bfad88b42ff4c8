"""A grid that runs a real ClientApp for each node in this process, and remembers what was sent."""

from collections.abc import Callable, Iterable
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run

Tamper = Callable[[Message], Message | None]


class LocalGrid(Grid):
    """Nodes 1 to ``count``; ``tamper`` changes a node's reply on its way, or loses it by returning none."""

    def __init__(self, app: ClientApp, count: int, tamper: dict[int, Tamper] | None = None) -> None:
        self._app = app
        self._tamper = tamper or {}
        self._contexts = {
            node: Context(0, node, {"partition-id": node - 1, "num-partitions": count}, RecordDict(), {})
            for node in range(1, count + 1)
        }
        self.sent: list[Message] = []
        self.timeouts: list[float | None] = []

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, *arguments: object, **options: object) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        assert isinstance(messages, list), "a grid may go through them more than once"
        self.timeouts.append(timeout)
        replies = [self._deliver(message) for message in messages]
        return [reply for reply in replies if reply is not None]

    def _deliver(self, message: Message) -> Message | None:
        message.metadata.__dict__["_message_id"] = str(uuid4())
        node = message.metadata.dst_node_id
        self.sent.append(Message(RecordDict(dict(message.content)), node, message.metadata.message_type))
        try:
            reply = self._app(message, self._contexts[node])
        except Exception as fault:  # noqa: BLE001 - a real node reports whatever its app raises
            reply = Message(Error(code=2, reason=str(fault)), reply_to=message)
        return self._tamper[node](reply) if node in self._tamper and reply.has_content() else reply
