"""The control plane's own API is decided by policy too (`data.ztfm.admin`)."""

from typing import Any, TypedDict, Unpack

from aiohttp import web

from controlplane.api.authentication import Unproven, as_known_now, stranger
from controlplane.api.problems import refused
from controlplane.api.reading import address_of
from controlplane.api.services import SERVICES
from controlplane.contracts.decision import Decision
from controlplane.contracts.facts.admin import AdminActionName, AdministeredKind
from controlplane.contracts.identity import Caller, DeviceStatus, Person
from controlplane.contracts.models import SignatureState
from controlplane.contracts.policies import PolicyLayer
from controlplane.decisions.gathering import subject_facts


class Stated(TypedDict, total=False):
    """What is to be done to a thing, as far as there is more to say; policy is told nothing of what is none.

    Attributes:
        status: what a device's status is to become.
        reason: why, as the caller says; it is kept with the decision.
        layer: of policies, whose release is to be another.
        lasts_seconds: for how long an exception is to count.
        waives: requirements that it is to waive.
        model: that a round is about.
        members: that may take part in it, how many.
        audiences: whom a token that says who its bearer is would be for.
        signature: what became of the signature under a version of ``model``.
        signer: who signed it.
        name: what its signer called it.
        roles: that tokens would let newcomers enrol as.
        segment: where they would.
    """

    status: DeviceStatus | None
    reason: str | None
    layer: PolicyLayer | None
    lasts_seconds: float | None
    waives: list[str] | None
    model: str | None
    members: int | None
    audiences: list[str] | None
    signature: SignatureState | None
    signer: str | None
    name: str | None
    roles: list[str] | None
    segment: str | None


async def administer(
    request: web.Request,
    caller: Caller,
    action: AdminActionName,
    kind: AdministeredKind,
    identifier: str,
    owner: str | None = None,
    *,
    privacy: dict[str, Any] | None = None,
    results: dict[str, Any] | None = None,
    **stated: Unpack[Stated],
) -> Decision:
    """Return the decision that lets ``caller`` do ``action``, with what its word is taken for.

    Args:
        request: what came.
        caller: who sent it; how it stands is looked up once more, for its body may have taken a while.
        action: what is to be done.
        kind: of thing.
        identifier: which thing.
        owner: whose thing it is, where it is anybody's.
        privacy: what the noise of a round would cost, where that is to be charged.
        results: of the evidence of whoever opens a round.
        stated: what else policy is to know of it.

    Raises:
        ProblemError: 401 for a caller who is none any more, 403 when policy denies it, 503 when policy cannot be asked.
    """
    services = request.app[SERVICES]
    caller = await _as_known_now(request, caller)
    now = services.clock()
    facts = {
        "subject": _subject(caller, now),
        "action": {"name": action},
        "resource": {"type": kind, "id": identifier, "properties": _properties(owner, stated)},
        "context": {
            "time": now,
            "network": {"address": address_of(request)},
            "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
            **services.gatherer.excepted(caller.id, identifier, action, now),
            **({} if privacy is None else {"privacy": privacy}),
            **({} if results is None else {"results": results}),
        },
    }
    decision = await services.decider.decide("admin", facts)
    if not decision.allowed:
        raise refused(decision)
    return decision


def _properties(owner: str | None, stated: Stated) -> dict[str, Any]:
    properties = {"owner": owner, **stated}
    return {name: value for name, value in properties.items() if value is not None}


async def _as_known_now(request: web.Request, caller: Caller) -> Caller:
    if not isinstance(caller, Person):
        return await as_known_now(request, caller)
    if caller.expires_at <= request.app[SERVICES].clock():
        raise await stranger(request, Unproven("person_expired", "invalid_token"))
    return caller


def _subject(caller: Caller, now: float) -> dict[str, Any]:
    if isinstance(caller, Person):
        known: Any = {"issuer": caller.issuer, "claims": caller.claims}
        return {"type": "person", "id": caller.id, "properties": known}
    return {"type": "device", "id": caller.id, "properties": subject_facts(caller, now)}
