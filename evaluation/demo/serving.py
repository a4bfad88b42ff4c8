"""A model server of the tuned model: it answers whoever shows a capability for an inference, as far as that reaches."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from adapters.credentials import target
from adapters.member import Member
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from evaluation.smart_home.model import TunedModel

INFER = "INFER"
SHOWN = 3


@dataclass(frozen=True)
class Answer:
    """What a caller gets to see.

    Attributes:
        intent: the most likely one.
        likelihoods: the best few with their probabilities; empty for a caller who may see the label only.
    """

    intent: str
    likelihoods: Mapping[str, float]


@dataclass(frozen=True)
class Ticket:
    """What a caller shows: a capability, and a proof that it is the caller's."""

    capability: str
    proof: str


class ModelServer:
    """Serves one model. It verifies offline, with what the control plane published and pushed beforehand.

    Args:
        model: the tuned model.
        intents: label names.
        name: the model's identifier in ``policies/data``.
        audience: this server's name.
        jwks: the control plane's published keys.
        issuer: whose capabilities are accepted.
        standings: knows what was revoked; none knows of nothing.
        clock: Unix seconds.
    """

    def __init__(
        self,
        model: TunedModel,
        intents: tuple[str, ...],
        *,
        name: str,
        audience: str,
        jwks: Mapping[str, Any],
        issuer: str,
        standings: Standings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.audience = audience
        self._model = model
        self._intents = intents
        self._verifier = CapabilityVerifier(jwks, issuer, audience, clock, standings=standings)

    def answer(self, text: str, ticket: Ticket) -> Answer | Refused:
        """Answer what ``text`` asks for, in the detail that the ticket grants; a bare label where it names none."""
        claims = self._verifier.verify(
            ticket.capability,
            proof=ticket.proof,
            method=INFER,
            url=target(self.audience, ""),
            action="inference",
            resource_id=self.name,
        )
        if isinstance(claims, Refused):
            return claims
        with torch.no_grad():
            likelihoods = torch.softmax(self._model([text])[0], dim=0)
        best = likelihoods.topk(SHOWN)
        found = dict(zip((self._intents[index] for index in best.indices.tolist()), best.values.tolist(), strict=True))
        is_full = claims.detail.constraints.detail == "full"
        return Answer(next(iter(found)), found if is_full else {})


def ticket_for(member: Member, model: str, audience: str, text: str) -> Ticket:
    """Ask the control plane for an inference, as ``member``.

    Raises:
        ControlPlaneError: `adapters.errors.Denied` when policy says no, with its reasons.
    """
    size = InferenceSize(prompt_tokens=len(text.split()), max_output_tokens=1)
    context = CapabilityContext(inference=size)
    resource = Resource(type="model", id=model)
    granted = member.plane.capability("inference", resource, audience, context).require()
    url, token = target(audience, ""), granted.access_token
    return Ticket(token, make_proof(member.key, method=INFER, url=url, now=time.time(), access_token=token))
