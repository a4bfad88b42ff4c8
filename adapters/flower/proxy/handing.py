"""What goes to nodes: messages and their objects, to who was sent them, and weights to who may have them."""

from aiohttp import ClientError, web
from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import PullObjectRequest, PullObjectResponse

from adapters.flower.proxy import refusing
from adapters.flower.proxy.calling import SLACK_BYTES, Asked, protobuf, read_answer, whole
from adapters.flower.proxy.deliveries import Delivered, Deliveries, objects_of
from adapters.flower.proxy.headers import ROUND, passed_on
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.refusing import Refused
from adapters.flower.proxy.report import Report
from adapters.flower.proxy.rights import Rights, unentitled
from adapters.flower.proxy.terms import NotArrived, announced_round, object_in
from adapters.flower.proxy.upstream import Answer, Upstream
from controlplane.capabilities import refusals
from controlplane.capabilities.limits import exceeded
from controlplane.contracts.capability import Constraints


class Handing:
    """Hands on what the SuperLink has for a node.

    Args:
        rights: verifies capabilities.
        deliveries: remembers what is handed on.
        upstream: the SuperLink.
        audience: of this proxy.
        limits: bounds.
        report: counts.
    """

    def __init__(
        self,
        rights: Rights,
        deliveries: Deliveries,
        upstream: Upstream,
        audience: str,
        limits: Limits,
        report: Report,
    ) -> None:
        self._rights = rights
        self._deliveries = deliveries
        self._upstream = upstream
        self._audience = audience
        self._limits = limits
        self._report = report

    async def of_run(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """What is known of a run, and its app: for those who were sent a message of it."""
        if not self._deliveries.has_run(asked.call.node_id, asked.call.request.run_id):
            raise Refused(refusing.denied("foreign_run"))
        return await self._streamed(request, asked, self._limits.app_bytes)

    async def confirm(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """A message was received; its objects are deleted: at the word of who was sent it."""
        wanted = asked.call.request
        if self._deliveries.message(asked.call.node_id, wanted.run_id, wanted.message_object_id) is None:
            raise Refused(refusing.denied("foreign_message"))
        return whole(await self._upstream.carry(asked, self._limits.answer_bytes))

    async def pull_messages(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """Hand on a message. It says to the sidecar which round its weights are of."""
        answer = await self._upstream.carry(asked, self._limits.answer_bytes)
        if not answer.is_good:
            return whole(answer)
        found = read_answer(PullMessagesResponse, answer)
        if not found.messages_list:
            return whole(answer)
        if len(found.messages_list) != 1 or len(found.message_object_trees) != 1:
            raise Refused(refusing.upstream_failed("upstream_unexpected"))
        message, tree = found.messages_list[0], found.message_object_trees[0]
        if message.content.ByteSize() or message.metadata.dst_node_id != asked.call.node_id:
            raise Refused(refusing.upstream_failed("upstream_unexpected"))
        objects = objects_of(tree, self._limits.objects)
        if objects is None:
            raise Refused(refusing.denied("too_many_objects"))
        contents_id = tree.children[0].object_id if len(tree.children) == 1 else ""
        shared = self._deliveries.shared(objects)
        stated = message.metadata
        delivered = Delivered(stated.run_id, stated.message_id, contents_id, shared, is_read=not contents_id)
        if objects.weights and await self._is_read(delivered, asked) and delivered.announced is None:
            raise Refused(refusing.denied("unsealed_round"))
        self._deliveries.deliver(asked.call.node_id, delivered)
        announced = delivered.announced
        return whole(answer, {ROUND: announced.to_header()} if announced is not None else None)

    async def _is_read(self, delivered: Delivered, asked: Asked) -> bool:
        """Return whether it is known which round a message belongs to; reads that when it is not.

        Flower's signature is for a time alone, so the headers of this request serve for the objects as well.
        """

        async def fetch(object_id: str) -> bytes | None:
            wanted = PullObjectRequest(node=asked.call.request.node, run_id=delivered.run_id, object_id=object_id)
            most = self._limits.record_bytes + SLACK_BYTES
            answer = await self._upstream.ask("pull-object", asked.caller.headers, wanted.SerializeToString(), most)
            return object_in(answer.body, object_id) if answer.is_good else None

        if not delivered.is_read:
            try:
                delivered.announced = await announced_round(delivered.contents_id, fetch, self._audience)
                delivered.is_read = True
            except NotArrived:
                return False
        return True

    async def pull_object(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """Hand on an object: a record to who was sent it, weights to who has a capability for them."""
        wanted = asked.call.request
        delivered = self._deliveries.containing(asked.call.node_id, wanted.run_id, wanted.object_id)
        if delivered is None:
            raise Refused(refusing.denied("foreign_object"))
        if wanted.object_id in delivered.objects.envelope:
            return whole(await self._record(asked))
        if not await self._is_read(delivered, asked):
            # Flower's own word for it: the SuperNode asks again in a moment.
            return protobuf(PullObjectResponse(object_found=True, object_available=False).SerializeToString())
        claims = await self._rights.pull(asked.caller.capability, asked.caller.proof, delivered.announced)
        if isinstance(claims, refusals.Refused):
            raise unentitled(claims, asked, delivered)
        return await self._streamed(
            request, asked, self._limits.object_bytes, delivered=delivered, limits=claims.detail.constraints
        )

    async def _record(self, asked: Asked) -> Answer:
        """Return an object that needs no capability: a small one, or else it could be weights by another name."""
        most = self._limits.record_bytes + SLACK_BYTES
        try:
            return await self._upstream.carry(asked, most)
        except Refused as refused:
            if refused.answer.cause == "upstream_too_large":
                raise Refused(refusing.denied("record_too_large")) from None
            raise

    async def _streamed(
        self,
        request: web.BaseRequest,
        asked: Asked,
        most_bytes: int,
        *,
        delivered: Delivered | None = None,
        limits: Constraints | None = None,
    ) -> web.StreamResponse:
        """Pass an answer on while it comes; of weights, what was sent is counted."""
        async with self._upstream.asking(asked.call.name, asked.caller.headers, asked.body) as answer:
            size = answer.content_length
            if size is None or size > most_bytes + SLACK_BYTES:
                raise Refused(refusing.upstream_failed("upstream_too_large"))
            if delivered is not None and limits is not None and answer.status == 200:
                if exceeded(limits, size_bytes=delivered.sent_bytes + size):
                    raise Refused(refusing.denied("too_large"))
                delivered.sent_bytes += size
                self._report.sent(asked.caller.subject, size)
            response = web.StreamResponse(status=answer.status, headers=passed_on(answer.headers))
            response.content_length = size
            await response.prepare(request)
            is_whole = False
            try:
                async for piece in self._upstream.pieces(answer):
                    await response.write(piece)
                await response.write_eof()
                is_whole = True
            except (ClientError, ConnectionError):
                self._report.count(asked.call.name, "broken")
            finally:
                if not is_whole:
                    # It is under way: all that can still be said is that it did not come whole.
                    request.protocol.force_close()
            return response
