"""Decide what a subject wants, and use up no more than was granted."""

from controlplane.api.services import Services
from controlplane.contracts.access import AccessRequest
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device


async def decide(services: Services, access: AccessRequest, device: Device | None, address: str) -> Decision:
    """Gather the facts of ``access`` and return the decision; what it does not allow uses up no tokens."""
    facts = await services.gatherer.gather(access, device, address)
    is_granted = False
    try:
        decision = await services.decider.decide(access.action.name, facts)
        is_granted = decision.allowed
    finally:
        if not is_granted:
            services.gatherer.release(access)
    return decision
