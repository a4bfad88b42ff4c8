"""Decide what a subject wants, and use up no more than was granted."""

from controlplane.api.services import Services
from controlplane.contracts.access import AccessRequest, EvaluationRequest
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device


async def decide(
    services: Services, access: AccessRequest, device: Device | None, address: str, search: str = ""
) -> Decision:
    """Gather the facts of ``access`` and return the decision; what it does not allow uses up no tokens.

    Args:
        services: the parts.
        access: what was asked.
        device: the registered subject, or none for a stranger.
        address: where the request came from.
        search: the decision that let somebody search, for a candidate: it uses up nothing at all.
    """
    facts = await services.gatherer.gather(access, device, address, search=search)
    is_settled = bool(search)
    try:
        decision = await services.decider.decide(access.action.name, facts)
        if not search:
            services.requests.saw(facts, decision)
        is_settled = is_settled or decision.allowed
    finally:
        if not is_settled:
            services.gatherer.release(access)
    return decision


async def decide_other(
    services: Services, asked: EvaluationRequest, device: Device | None, address: str, search: str = ""
) -> Decision:
    """Return the decision on an action that is none of the product's; arguments as for `decide`."""
    return await services.decider.decide("other", services.gatherer.gather_other(asked, device, address, search))
