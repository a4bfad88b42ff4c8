"""The calls of the Fleet API that are let through, and no others (Flower 1.41, `flwr.superlink.routers.fleet`)."""

from dataclasses import dataclass
from typing import Any, Literal

from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
    UnregisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.run_pb2 import GetRunRequest
from google.protobuf.message import DecodeError as DecodeError  # type: ignore[import-untyped]

PREFIX = "/v1/fleet/"

CallName = Literal[
    "register-node",
    "activate-node",
    "deactivate-node",
    "unregister-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "get-run",
    "get-fab",
    "push-object",
    "pull-object",
    "confirm-message-received",
]

_REQUESTS: dict[CallName, Any] = {
    "register-node": RegisterNodeFleetRequest,
    "activate-node": ActivateNodeRequest,
    "deactivate-node": DeactivateNodeRequest,
    "unregister-node": UnregisterNodeFleetRequest,
    "send-node-heartbeat": SendNodeHeartbeatRequest,
    "pull-messages": PullMessagesRequest,
    "push-messages": PushMessagesRequest,
    "get-run": GetRunRequest,
    "get-fab": GetFabRequest,
    "push-object": PushObjectRequest,
    "pull-object": PullObjectRequest,
    "confirm-message-received": ConfirmMessageReceivedRequest,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, read.

    Attributes:
        name: which.
        request: Flower's message, as it came.
    """

    name: CallName
    request: Any

    @property
    def node_id(self) -> int:
        """The node that the request says it comes from; 0 for one that has no id yet."""
        if self.name in ("register-node", "activate-node"):
            return 0
        if self.name in ("deactivate-node", "unregister-node"):
            return int(self.request.node_id)
        return int(self.request.node.node_id)

    @property
    def public_key(self) -> bytes:
        """The key that a node registers or activates with; empty for other calls."""
        return bytes(self.request.public_key) if self.name in ("register-node", "activate-node") else b""


def call_of(method: str, path: str) -> CallName | None:
    """Return which call a request is, or none for one that is not let through."""
    if method != "POST" or not path.startswith(PREFIX):
        return None
    return next((name for name in _REQUESTS if path == PREFIX + name), None)


def read_call(name: CallName, body: bytes) -> Call | None:
    """Return the call of a body, or none for one that cannot be read."""
    try:
        return Call(name, _REQUESTS[name].FromString(body))
    except (DecodeError, RecursionError):
        return None
