"""The control plane's own API is decided by policy too (`data.ztfm.admin`)."""

from aiohttp import web

from controlplane.api.problems import refused
from controlplane.api.reading import address_of
from controlplane.api.services import SERVICES
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device
from controlplane.decisions.gathering import subject_facts


async def administer(
    request: web.Request, caller: Device, action: str, kind: str, identifier: str, owner: str | None = None
) -> Decision:
    """Return the decision that lets ``caller`` do ``action``, with what its word is taken for.

    Raises:
        ProblemError: 403 when policy denies it, 503 when policy cannot be asked.
    """
    services = request.app[SERVICES]
    now = services.clock()
    facts = {
        "subject": {"type": "device", "id": caller.id, "properties": subject_facts(caller, now)},
        "action": {"name": action},
        "resource": {"type": kind, "id": identifier, "properties": {"owner": owner} if owner else {}},
        "context": {
            "time": now,
            "network": {"address": address_of(request)},
            "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
        },
    }
    decision = await services.decider.decide("admin", facts)
    if not decision.allowed:
        raise refused(decision)
    return decision
