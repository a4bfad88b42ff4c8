"""What a node was sent and may send: the objects of its messages, and nothing of anybody else's.

The Fleet API itself hands out any object to whoever can name it, and takes any message from any node.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, TypeVar

from adapters.flower.proxy.headers import AnnouncedRound
from controlplane.contracts.capability import Constraints

MESSAGES = 4
"""Messages of a node that are remembered; a SuperNode has one at a time."""

NODES = 10_000
"""Nodes whose messages are remembered; those that were not heard of for longest go first."""

_SHARED = 64
Value = TypeVar("Value")

_ENVELOPE_DEPTH = 2
"""Message, RecordDict and records. What is below a record is an array or a part of one."""


@dataclass(frozen=True)
class Objects:
    """The objects of a message, by what is in them.

    Attributes:
        envelope: message, contents and records, which name arrays and hold none.
        weights: arrays and their parts.
    """

    envelope: frozenset[str]
    weights: frozenset[str]

    def holds(self, object_id: str) -> bool:
        """Whether an object belongs to the message."""
        return object_id in self.weights or object_id in self.envelope


@dataclass
class Delivered:
    """A message that a node was sent.

    Attributes:
        run_id: of Flower's run.
        message_id: of Flower's message.
        contents_id: of the object that names its records; empty for a message without contents.
        objects: that it consists of.
        announced: the round whose weights it carries; none when no sealed round is named in it.
        is_read: whether `announced` is known: a message may come before its objects.
        sent_bytes: of weights, so far.
    """

    run_id: int
    message_id: str
    contents_id: str
    objects: Objects
    announced: AnnouncedRound | None = None
    is_read: bool = False
    sent_bytes: int = 0


@dataclass
class Push:
    """A reply that a node may send the objects of.

    Attributes:
        run_id: of Flower's run.
        objects: that may come, each once.
        limits: of the capability that it came with; none for a reply without arrays.
        received_bytes: so far.
    """

    run_id: int
    objects: set[str]
    limits: Constraints | None
    received_bytes: int = 0


@dataclass
class _OfNode:
    delivered: OrderedDict[str, Delivered] = field(default_factory=OrderedDict)
    pushes: OrderedDict[str, Push] = field(default_factory=OrderedDict)


class Deliveries:
    """Remembers for each node what is under way."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[int, _OfNode] = OrderedDict()
        self._shared: OrderedDict[frozenset[str], frozenset[str]] = OrderedDict()

    def deliver(self, node_id: int, delivered: Delivered) -> None:
        """A message is handed to a node."""
        _remember(self._of(node_id).delivered, delivered.message_id, delivered, MESSAGES)

    def shared(self, objects: Objects) -> Objects:
        """Return the same objects, with one set of names for all nodes that are sent the same weights."""
        weights = self._shared.get(objects.weights, objects.weights)
        _remember(self._shared, weights, weights, _SHARED)
        return Objects(objects.envelope, weights)

    def message(self, node_id: int, run_id: int, message_id: str) -> Delivered | None:
        """Return a message that the node was sent, or none."""
        found = self._of(node_id).delivered.get(message_id)
        return found if found is not None and found.run_id == run_id else None

    def has_run(self, node_id: int, run_id: int) -> bool:
        """Whether the node was sent a message of a run."""
        return any(found.run_id == run_id for found in self._of(node_id).delivered.values())

    def containing(self, node_id: int, run_id: int, object_id: str) -> Delivered | None:
        """Return the latest message of the node that an object belongs to, or none."""
        for found in reversed(self._of(node_id).delivered.values()):
            if found.run_id == run_id and found.objects.holds(object_id):
                return found
        return None

    def allow_push(self, node_id: int, session_id: str, push: Push) -> None:
        """The SuperLink took a reply of the node; its objects may come."""
        _remember(self._of(node_id).pushes, session_id, push, MESSAGES)

    def push(self, node_id: int, run_id: int, session_id: str, object_id: str) -> Push | None:
        """Return the reply that an object may be sent for, or none."""
        found = self._of(node_id).pushes.get(session_id)
        return found if found is not None and found.run_id == run_id and object_id in found.objects else None

    def forget(self, node_id: int) -> None:
        """A node is no more."""
        self._nodes.pop(node_id, None)

    def _of(self, node_id: int) -> _OfNode:
        found = self._nodes.get(node_id) or _OfNode()
        _remember(self._nodes, node_id, found, NODES)
        return found


def objects_of(tree: Any, most: int) -> Objects | None:
    """Return the objects of Flower's ObjectTree, or none for more than ``most`` of them."""
    envelope: set[str] = set()
    weights: set[str] = set()
    level, depth, seen = [tree], 0, 0
    while level:
        seen += len(level)
        if seen > most:
            return None
        (envelope if depth <= _ENVELOPE_DEPTH else weights).update(str(one.object_id) for one in level)
        level, depth = [child for one in level for child in one.children], depth + 1
    return Objects(frozenset(envelope - weights), frozenset(weights))


def _remember(kept: "OrderedDict[Any, Value]", name: object, value: Value, most: int) -> None:
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > most:
        kept.popitem(last=False)
