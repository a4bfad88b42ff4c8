"""What becomes of each call of a SuperNode: who sent it, whether it speaks for that node, and who answers it."""

import logging
from hashlib import sha256

from aiohttp import web
from flwr.proto.fleet_pb2 import ActivateNodeResponse, RegisterNodeFleetResponse

from adapters.flower.proxy import refusing
from adapters.flower.proxy.bindings import Bindings
from adapters.flower.proxy.calling import Asked, Caller, Reply, read_answer, require_own, size_of, whole
from adapters.flower.proxy.deliveries import Deliveries
from adapters.flower.proxy.fleet import PREFIX, CallName, call_of, read_call
from adapters.flower.proxy.handing import Handing
from adapters.flower.proxy.headers import (
    CAPABILITY,
    DIGEST,
    PROOF,
    passed_on,
    read_capability,
    read_digest,
    read_proof,
)
from adapters.flower.proxy.identities import Members, Membership, Proofs
from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.refusing import Refused
from adapters.flower.proxy.report import Report
from adapters.flower.proxy.rights import Rights
from adapters.flower.proxy.taking import Taking
from adapters.flower.proxy.upstream import Upstream
from adapters.web.answering import Refusal
from controlplane.capabilities import refusals

_LEAVING = ("deactivate-node", "unregister-node")
_GONE = ("inactive", "revoked")
"""A device that is no member any more may say that its node is gone: else the strategy goes on waiting for it."""

_log = logging.getLogger("ztfm.flower.proxy")


class Gate:
    """Lets calls of SuperNodes through to the SuperLink, or answers them itself. Belongs to one event loop.

    Args:
        members: knows which devices are members.
        proofs: verifies the proof of each request.
        rights: verifies capabilities.
        bindings: knows whose node is whose.
        upstream: the SuperLink.
        audience: of this proxy, for which devices ask for capabilities.
        limits: bounds.
        report: counts.
    """

    def __init__(
        self,
        *,
        members: Members,
        proofs: Proofs,
        rights: Rights,
        bindings: Bindings,
        upstream: Upstream,
        audience: str,
        limits: Limits,
        report: Report,
    ) -> None:
        self.public_url = ""
        self.report = report
        self._members = members
        self._proofs = proofs
        self._bindings = bindings
        self._upstream = upstream
        self._limits = limits
        self._deliveries = Deliveries()
        self._taking = Taking(rights, self._deliveries, bindings, upstream, limits)
        handing = Handing(rights, self._deliveries, upstream, audience, limits, report)
        self._replies: dict[CallName, Reply] = {
            "register-node": self._enlist,
            "activate-node": self._enlist,
            "unregister-node": self._leave,
            "pull-messages": handing.pull_messages,
            "pull-object": handing.pull_object,
            "push-messages": self._taking.push_messages,
            "get-run": handing.of_run,
            "get-fab": handing.of_run,
            "confirm-message-received": handing.confirm,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to a request; what it was is counted.

        Raises:
            Refused: with the answer instead.
        """
        name = call_of(request.method, request.raw_path)
        try:
            if name is None:
                raise Refused(refusing.denied("no_such_call"))
            caller = await self._caller(request, name)
            if name == "push-object":
                response = await self._taking.push_object(request, caller)
            else:
                body = await self._read(request, caller)
                call = read_call(name, body)
                if call is None:
                    raise Refused(refusing.denied("malformed"))
                require_own(self._bindings, call, caller.subject)
                response = await self._replies.get(name, self._passed)(request, Asked(caller, call, body))
        except Refused as refused:
            self.report.count(name or "none", refused.answer.cause)
            _log.info("refused %s: %d, %s", name or "a call", refused.answer.status, refused.answer.cause)
            raise
        self.report.count(name, "passed" if response.status == 200 else f"upstream_{response.status}")
        return response

    async def _caller(self, request: web.BaseRequest, name: CallName) -> Caller:
        headers = request.headers
        capability = read_capability(headers.getall(CAPABILITY, []))
        if capability is None and CAPABILITY in headers:
            raise Refused(refusing.denied("malformed"))
        digest = read_digest(headers.getall(DIGEST, []))
        proof = self._proofs.examine(
            read_proof(headers.getall(PROOF, [])),
            url=self.public_url + PREFIX + name,
            digest=digest,
            capability=capability,
        )
        if isinstance(proof, refusals.Refused) or digest is None:
            cause = proof.cause if isinstance(proof, refusals.Refused) else "proof_missing"
            raise Refused(refusing.denied(cause))
        subject, standing = await self._members.holder(proof)
        if standing != "active" and not (standing in _GONE and name in _LEAVING):
            raise Refused(_no_member(standing, name))
        if not self._proofs.is_first_use(proof):
            raise Refused(refusing.denied("proof_replayed"))
        return Caller(subject, proof, capability, digest, passed_on(headers))

    async def _read(self, request: web.BaseRequest, caller: Caller) -> bytes:
        size = size_of(request)
        if size > self._limits.request_bytes:
            raise Refused(refusing.too_large(self._limits.request_bytes))
        body = await request.content.read(-1) if size else b""
        if f"sha256:{sha256(body).hexdigest()}" != caller.digest:
            raise Refused(refusing.denied("altered"))
        return body

    async def _passed(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        return whole(await self._upstream.carry(asked, self._limits.answer_bytes))

    async def _enlist(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """A node registers or becomes active: from now on it is this device's."""
        answer = await self._upstream.carry(asked, self._limits.answer_bytes)
        if answer.is_good:
            kind = RegisterNodeFleetResponse if asked.call.name == "register-node" else ActivateNodeResponse
            node_id = int(read_answer(kind, answer).node_id)
            if not self._bindings.bind(node_id, asked.caller.subject, asked.call.public_key):
                raise Refused(refusing.denied("wrong_node"))
        return whole(answer)

    async def _leave(self, _request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        answer = await self._upstream.carry(asked, self._limits.answer_bytes)
        if answer.is_good:
            self._bindings.release(asked.call.node_id)
            self._deliveries.forget(asked.call.node_id)
        return whole(answer)


def _no_member(standing: Membership, name: CallName) -> Refusal:
    """What a device hears that is none, or of which nobody knows whether it is one."""
    if standing == "revoked":
        return refusing.revoked()
    if standing == "inactive" and name != "send-node-heartbeat":
        return refusing.denied("no_member")
    # At 403 a SuperNode ends its heart for good, and would not be found again once it is let back.
    return refusing.busy("no_member" if standing == "inactive" else "revocations_unknown")
