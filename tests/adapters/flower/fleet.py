"""A real SuperLink in a thread, and nodes that speak to it, or to the proxy before it, with Flower's own client."""

import asyncio
import hashlib
import io
import socket
import ssl
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import numpy as np
import uvicorn
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.main import create_app
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

Result = TypeVar("Result")
APP = Path(__file__).parents[3] / "examples" / "flower_deployment"
WEIGHTS = np.arange(40_000, dtype=np.float64)


def packed() -> bytes:
    """Return an app (FAB) with nothing in it that could run."""
    packing = io.BytesIO()
    with zipfile.ZipFile(packing, "w") as file:
        file.write(APP / "pyproject.toml", "pyproject.toml")
    return packing.getvalue()


class Link:
    """A SuperLink with one run under way."""

    def __init__(self, url: str, state: Any) -> None:
        self.url = url
        self.state = state
        app = packed()
        fab = Fab(hashlib.sha256(app).hexdigest(), app, {})
        state.store_fab(fab)
        self.run_id = int(
            state.create_run("us/app", "1", fab.hash_str, {}, NOOP_FEDERATION_ID, None, "", TaskType.SERVER_APP)
        )
        (run,) = state.get_run_info(run_ids=[self.run_id])
        self._task_id = run.primary_task_id
        state.claim_task(self._task_id)
        state.activate_task(self._task_id)

    def stay(self) -> None:
        """The server app says that it is still there."""
        self.state.acknowledge_task_heartbeat(self._task_id)

    def send(self, node_id: int, contents: RecordDict, *, with_objects: bool = True) -> "Sent":
        """Have the server send a message to a node."""
        message = Message(contents, node_id, "train")
        message.metadata.__dict__["_message_id"] = message.object_id
        sent = Sent(self, message)
        _, sent.missing = self.state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), sent.session
        )
        if with_objects:
            sent.objects_come()
        return sent

    def replies(self, sent: "Sent") -> list[Any]:
        """Return what nodes replied to a message, as the server reads it."""
        return list(self.state.get_message_res({sent.message.metadata.message_id}, self.run_id))


class Sent:
    """A message that a server sent."""

    def __init__(self, link: Link, message: Message) -> None:
        self.message = message
        self.session = link.state.start_session(link.run_id)
        self.objects = {one: found.deflate() for one, found in get_all_nested_objects(message).items()}
        self.missing: list[str] = []
        self._link = link

    def objects_come(self) -> None:
        """The objects of the message arrive at the SuperLink."""
        for name in self.missing:
            assert self._link.state.store_object(self._link.run_id, self.session, name, self.objects[name])

    def named(self, kind: str) -> list[str]:
        """Return the ids of the objects of a kind, such as ``ArrayChunk``."""
        return [name for name, content in self.objects.items() if content.startswith(f"{kind} ".encode())]


class ScriptedNode:
    """Whoever speaks the Fleet API, with Flower's client and its own signature."""

    def __init__(
        self,
        url: str,
        link: Link,
        keys: Any = None,
        change: Callable[[httpx.Request], None] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        private, public = keys or generate_key_pairs()
        self.keys = private, public
        self.link = link
        self.public_key = public_key_to_bytes(public)
        self.client = FleetHttpClient(url, interceptors=[NodeAuthHttpInterceptor(private, public)], verify=verify)
        self.node_id = 0
        self.requests: list[httpx.Request] = []
        self.client._client.event_hooks["request"].append(self.requests.append)
        if change is not None:
            self.client._client.event_hooks["request"].append(change)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()

    @property
    def node(self) -> Node:
        return Node(node_id=self.node_id)

    def join(self) -> "ScriptedNode":
        """Register and become active."""
        self.client.RegisterNode(RegisterNodeFleetRequest(public_key=self.public_key))
        self.node_id = self.client.ActivateNode(
            ActivateNodeRequest(public_key=self.public_key, heartbeat_interval=30)
        ).node_id
        return self

    def pull(self) -> Any:
        """Ask for a message."""
        return self.client.PullMessages(PullMessagesRequest(node=self.node))

    def fetch(self, object_id: str) -> Any:
        """Ask for an object."""
        return self.client.PullObject(PullObjectRequest(node=self.node, run_id=self.link.run_id, object_id=object_id))

    def confirm(self, message_id: str) -> Any:
        """Say that a message was received, whereupon its objects are deleted."""
        wanted = ConfirmMessageReceivedRequest(node=self.node, run_id=self.link.run_id, message_object_id=message_id)
        return self.client.ConfirmMessageReceived(wanted)

    def reply(self, sent: Sent, contents: RecordDict, **changes: Any) -> Message:
        """Make a reply as a client app does."""
        message = Message(contents, reply_to=sent.message)
        message.metadata.__dict__.update({"_src_node_id": self.node_id, "_src_task_id": None, **changes})
        message.metadata.__dict__["_message_id"] = message.object_id
        return message

    def push(self, message: Message) -> Any:
        """Send a message, without its objects."""
        request = PushMessagesRequest(
            node=self.node,
            messages_list=[message_to_proto(remove_content_from_message(message))],
            message_object_trees=[get_object_tree(message)],
            clientapp_runtime_list=[0.1],
        )
        return self.client.PushMessages(request)

    def push_object(self, session: str, object_id: str, content: bytes) -> Any:
        """Send an object."""
        request = PushObjectRequest(
            node=self.node,
            run_id=self.link.run_id,
            object_id=object_id,
            object_content=content,
            session_id=session,
        )
        return self.client.PushObject(request)

    def push_whole(self, message: Message) -> None:
        """Send a message and its objects."""
        taken = self.push(message)
        objects = get_all_nested_objects(message)
        for name in taken.objects_to_push:
            assert self.push_object(taken.session_id, name, objects[name].deflate()).stored


def weights(more: Mapping[str, Any] | None = None) -> RecordDict:
    """Return contents with weights in them."""
    return RecordDict({"arrays": ArrayRecord([WEIGHTS]), **(more or {})})


def update() -> RecordDict:
    """Return what a client app replies."""
    return RecordDict({"arrays": ArrayRecord([WEIGHTS + 1.0]), "metrics": MetricRecord({"num-examples": 3})})


def status_of(call: Callable[[], Any]) -> int:
    """Return with which status a call ends."""
    try:
        call()
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


@contextmanager
def superlink() -> Iterator[Link]:
    """Run a SuperLink that keeps all in memory."""
    app, ended = create_app(), threading.Event()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.02)
            link = Link(f"http://127.0.0.1:{bound.getsockname()[1]}", app.state.linkstate_factory.state())
            TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = 1, link.run_id, 1
            beating = threading.Thread(target=_beat, args=(link, ended))
            beating.start()
            yield link
        finally:
            ended.set()
            server.should_exit = True
            thread.join(10)


def _beat(link: Link, ended: threading.Event) -> None:
    while not ended.wait(2.0):
        link.stay()


class Loop:
    """An event loop in a thread, in which contexts stay entered."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()
        self._thread.start()

    def enter(self, context: AbstractAsyncContextManager[Result]) -> Result:
        """Enter a context and return what it gives."""
        return asyncio.run_coroutine_threadsafe(self._stack.enter_async_context(context), self._loop).result(30)

    def close(self) -> None:
        """Leave all contexts and end the thread."""
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
