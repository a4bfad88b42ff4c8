"""What comes from nodes: replies to what they were sent, in their own name; with arrays, at a capability's expense."""

from collections.abc import AsyncIterator
from hashlib import sha256

from aiohttp import web
from flwr.proto.fleet_pb2 import PushMessagesResponse

from adapters.flower.proxy import refusing
from adapters.flower.proxy.bindings import Bindings
from adapters.flower.proxy.calling import SLACK_BYTES, Asked, Caller, read_answer, require_own, size_of, whole
from adapters.flower.proxy.deliveries import Deliveries, Push, objects_of
from adapters.flower.proxy.fleet import Call
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.refusing import Refused
from adapters.flower.proxy.rights import Rights, unentitled
from adapters.flower.proxy.scanning import Malformed, PushedObject
from adapters.flower.proxy.upstream import Upstream
from controlplane.capabilities import refusals
from controlplane.capabilities.limits import exceeded

_PIECE = 65_536


class Taking:
    """Takes in what nodes send.

    Args:
        rights: verifies capabilities.
        deliveries: knows what nodes were sent.
        bindings: knows whose node is whose.
        upstream: the SuperLink.
        limits: bounds.
    """

    def __init__(
        self, rights: Rights, deliveries: Deliveries, bindings: Bindings, upstream: Upstream, limits: Limits
    ) -> None:
        self._rights = rights
        self._deliveries = deliveries
        self._bindings = bindings
        self._upstream = upstream
        self._limits = limits

    async def push_messages(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """Take a reply, without its objects; one with arrays uses up a capability."""
        pushed = asked.call.request
        if len(pushed.messages_list) != 1 or len(pushed.message_object_trees) != 1:
            raise Refused(refusing.denied("malformed"))
        message, tree = pushed.messages_list[0], pushed.message_object_trees[0]
        stated = message.metadata
        if message.content.ByteSize() or tree.object_id != stated.message_id:
            raise Refused(refusing.denied("malformed"))
        if stated.src_node_id != asked.call.node_id:
            raise Refused(refusing.denied("wrong_node"))
        replied = self._deliveries.message(asked.call.node_id, stated.run_id, stated.reply_to_message_id)
        if replied is None:
            raise Refused(refusing.denied("foreign_message"))
        objects = objects_of(tree, self._limits.objects)
        if objects is None:
            raise Refused(refusing.denied("too_many_objects"))
        limits = None
        if objects.weights:
            claims = await self._rights.submission(asked.caller.capability, asked.caller.proof, replied.announced)
            if isinstance(claims, refusals.Refused):
                raise unentitled(claims, asked, replied)
            limits = claims.detail.constraints
        answer = await self._upstream.carry(asked, self._limits.answer_bytes)
        if answer.is_good:
            taken = read_answer(PushMessagesResponse, answer)
            wanted = {one for one in taken.objects_to_push if objects.holds(one)}
            push = Push(stated.run_id, wanted, limits)
            self._deliveries.allow_push(asked.call.node_id, taken.session_id, push)
        return whole(answer)

    async def push_object(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        """Pass an object on while it comes. Its last piece is held back until all of it is known to be right."""
        size = size_of(request)
        if size > self._limits.object_bytes:
            raise Refused(refusing.too_large(self._limits.object_bytes))
        done: list[tuple[Push, str]] = []

        async def _pieces() -> AsyncIterator[bytes]:
            read, digest, held = PushedObject(), sha256(), b""
            try:
                async for piece in request.content.iter_chunked(_PIECE):
                    read.feed(piece)
                    digest.update(piece)
                    if held:
                        yield held
                    held = piece
                pushed = read.end()
            except Malformed:
                raise Refused(refusing.denied("malformed")) from None
            if f"sha256:{digest.hexdigest()}" != caller.digest:
                raise Refused(refusing.denied("altered"))
            done.append((self._pushed(Call("push-object", pushed), caller.subject, size), pushed.object_id))
            yield held

        headers = {**caller.headers, "Content-Length": str(size)}
        async with self._upstream.asking("push-object", headers, _pieces()) as answer:
            taken = await self._upstream.read(answer, self._limits.answer_bytes)
            for push, object_id in done:
                if taken.is_good:
                    push.objects.discard(object_id)
                else:
                    push.received_bytes -= size
            return whole(taken)

    def _pushed(self, call: Call, subject: str, size: int) -> Push:
        require_own(self._bindings, call, subject)
        stated = call.request
        push = self._deliveries.push(call.node_id, stated.run_id, stated.session_id, stated.object_id)
        if push is None:
            raise Refused(refusing.denied("foreign_object"))
        if push.limits is None and size > self._limits.record_bytes + SLACK_BYTES:
            raise Refused(refusing.denied("record_too_large"))
        push.received_bytes += size
        if push.limits is not None and exceeded(push.limits, size_bytes=push.received_bytes):
            raise Refused(refusing.denied("too_large"))
        return push
