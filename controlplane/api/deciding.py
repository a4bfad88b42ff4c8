"""Decide what a subject wants, and use up no more than was granted."""

from collections.abc import Mapping
from typing import Any

from controlplane.api.problems import unavailable
from controlplane.api.services import Services
from controlplane.contracts.access import AccessRequest, EvaluationRequest
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device

MAX_TRIES = 8
"""How often it is decided again, where others spend of the same privacy budget in between."""


async def decide(
    services: Services,
    access: AccessRequest,
    device: Device | None,
    address: str,
    search: str = "",
    *,
    on_behalf: bool = False,
) -> Decision:
    """Gather the facts of ``access`` and return the decision; what it does not allow uses up no tokens.

    What an allowed submission spends of a privacy budget is charged before this returns, and never given back.

    Args:
        services: the parts.
        access: what was asked.
        device: the registered subject, or none for a stranger.
        address: where the request came from.
        search: the decision that let somebody search, for a candidate: it uses up nothing at all.
        on_behalf: somebody else asks, and no capability comes of it: no privacy budget is charged, so nobody spends
            another's.

    Raises:
        ProblemError: 503 when others spend of the same privacy budget again and again.
        AuditUnavailable, StoreUnavailable: the decision or the charge could not be kept.
    """
    if search or access.action.name != "gradient_submission":
        return (await _decide(services, access, device, address, search))[0]
    model = access.resource.id
    async with services.budgets.privacy.turn(model, access.subject.id):
        for _ in range(MAX_TRIES):
            decision, facts = await _decide(services, access, device, address, search)
            if not decision.allowed:
                services.budgets.privacy.denied(decision.reasons, model)
                return decision
            if on_behalf:
                return decision
            if await services.budgets.privacy.charge(facts, decision, model):
                return decision
    raise unavailable("Others spend of the same privacy budget; nothing of this was charged.", decision.id)


async def _decide(
    services: Services, access: AccessRequest, device: Device | None, address: str, search: str
) -> tuple[Decision, Mapping[str, Any]]:
    facts, reserved = await services.gatherer.gather(access, device, address, search=search)
    is_allowed = False
    try:
        decision = await services.decider.decide(access.action.name, facts)
        if not search:
            services.behaviour.requests.saw(facts, decision)
        is_allowed = decision.allowed
    finally:
        if not is_allowed:
            services.gatherer.release(reserved)
    return decision, facts


async def decide_other(
    services: Services, asked: EvaluationRequest, device: Device | None, address: str, search: str = ""
) -> Decision:
    """Return the decision on an action that is none of the product's; arguments as for `decide`."""
    return await services.decider.decide("other", await services.gatherer.gather_other(asked, device, address, search))
