"""The control plane as an asyncio client sees it: one method for each thing that it does."""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from adapters.transport import Transport
from adapters.wire import read_answer, read_keys_document, read_problem, write_body
from controlplane.capabilities.keys import DeviceKey
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import AccessRequest, ActionName, PartialAccessRequest, Resource
from controlplane.contracts.access import AccessRequests as Batch
from controlplane.contracts.base import StrictModel
from controlplane.contracts.capability import Capability, CapabilityContext, CapabilityRequest
from controlplane.contracts.decision import AccessResponse, AccessResponses, DecisionRecord
from controlplane.contracts.identity import Enrolled, EnrolmentRequest
from controlplane.contracts.rounds import (
    Round,
    RoundRequest,
    UpdateReport,
    UpdateReports,
    UpdateVerdict,
    UpdateVerdicts,
)


class Readiness(StrictModel):
    """Whether the control plane can decide.

    Attributes:
        ready: all of its parts are there.
        checks: each part by name: ``ok``, or what is wrong with it.
        policy_revision: the revision that decides; empty when none does.
    """

    ready: bool
    checks: dict[str, str]
    policy_revision: str


class ControlPlane:
    """The control plane at ``url``, spoken to as the holder of ``key``. An asynchronous context manager.

    Every request that says who asks carries a fresh DPoP proof (RFC 9449). Every method may raise any of
    `adapters.errors`. Nothing is asked twice, but for one second try when no connection could be made.

    Args:
        url: the control plane's public URL, exactly as it calls itself: proofs name it.
        key: the caller's key.
        timeout_seconds: from asking to the whole answer.
        tls: how a TLS connection is verified; none for the system's authorities.
        clock: Unix seconds.
    """

    def __init__(
        self,
        url: str,
        key: DeviceKey,
        *,
        timeout_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._clock = clock
        self._transport = Transport(timeout_seconds, tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the connections."""
        await self._transport.close()

    async def enrol(self, token: str, roles: Sequence[str], segment: str) -> Enrolled:
        """Register this key against a single-use token and return the name that it has from now on."""
        request = EnrolmentRequest(token=token, roles=list(roles), segment=segment)
        return read_answer(Enrolled, await self._post("/v1/devices", request))

    async def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Capability:
        """Return a capability for one action on one resource at one enforcement point."""
        stated = context or CapabilityContext()
        request = CapabilityRequest(action=action, resource=resource, audience=audience, context=stated)
        return read_answer(Capability, await self._post("/v1/capabilities", request))

    async def open_round(self, request: RoundRequest) -> Round:
        """Open a round; its id must never have been used."""
        return read_answer(Round, await self._post("/v1/rounds", request))

    async def report_updates(self, round_id: str, updates: Sequence[UpdateReport]) -> list[UpdateVerdict]:
        """Report a round's updates and return their verdicts, in the same order. Their capabilities are used up."""
        body = UpdateReports(updates=list(updates))
        answer = read_answer(UpdateVerdicts, await self._post(f"/v1/rounds/{_segment(round_id)}/updates", body))
        return answer.verdicts

    async def decision(self, decision_id: str) -> DecisionRecord:
        """Return a recorded decision with the facts behind it."""
        return read_answer(DecisionRecord, await self._ask("GET", f"/v1/decisions/{_segment(decision_id)}"))

    async def evaluate(self, request: AccessRequest) -> AccessResponse:
        """Ask for one decision (AuthZEN 1.0). A denial is an answer here, not an exception."""
        return read_answer(AccessResponse, await self._post("/access/v1/evaluation", request))

    async def evaluate_many(self, requests: Sequence[AccessRequest]) -> list[AccessResponse]:
        """Ask for up to 100 decisions at once (AuthZEN 1.0); answers keep the order.

        Raises:
            ValueError: none, or more than 100.
        """
        elements = [PartialAccessRequest(**{name: getattr(one, name) for name in _PARTS}) for one in requests]
        answer = await self._post("/access/v1/evaluations", Batch(evaluations=elements))
        return read_answer(AccessResponses, answer).evaluations

    async def jwks(self) -> Mapping[str, Any]:
        """Return the published keys that verify capabilities (RFC 7517)."""
        return read_keys_document(await self._ask("GET", "/.well-known/jwks.json", is_proven=False))

    async def readiness(self) -> Readiness:
        """Return whether the control plane can decide, part by part; a part that is missing raises nothing."""
        body = await self._ask("GET", "/readyz", is_proven=False, welcome=(200, 503))
        return read_answer(Readiness, body)

    async def _post(self, path: str, body: StrictModel) -> bytes:
        return await self._ask("POST", path, write_body(body), welcome=(200, 201))

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        is_proven: bool = True,
        welcome: tuple[int, ...] = (200,),
    ) -> bytes:
        url = self.url + path

        def headers() -> dict[str, str]:
            proof = {"DPoP": make_proof(self._key, method=method, url=url, now=self._clock())} if is_proven else {}
            return proof if body is None else {**proof, "Content-Type": "application/json"}

        answer = await self._transport.send(method, url, body, headers)
        if answer.status not in welcome:
            raise read_problem(answer.status, answer.body, answer.retry_after)
        return answer.body


_PARTS = ("subject", "action", "resource", "context")


def _segment(text: str) -> str:
    return quote(text, safe="")
