"""Gather the facts of a request. What the control plane knows wins over what it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from controlplane.capabilities.grouping import group_of
from controlplane.contracts.access import ACTIONS, AccessRequest, EvaluationRequest, OpenModel, RequestContext
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.facts import FACTS
from controlplane.contracts.facts.subjects import SubjectFacts
from controlplane.contracts.identity import Attestation, Device
from controlplane.contracts.privacy import PrivacyTerms
from controlplane.decisions.models import ModelBook
from controlplane.decisions.proven import Results, counting, result_facts
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.usage import Reserved, Usage, UsageSource

_UNPROVEN = Attestation()
_OWNED_OF_SUBJECT = frozenset(SubjectFacts.model_fields)
_OWNED_OF_CONTEXT = frozenset(RequestContext.model_fields).union(
    *(FACTS[action].model_fields["context"].annotation.model_fields for action in ACTIONS)  # type: ignore[union-attr]
)


def subject_facts(device: Device | None, now: float) -> dict[str, Any] | None:
    """Return what is known of a subject at ``now`` (Unix seconds), or none for a stranger."""
    if device is None:
        return None
    proven = device.attestation if device.attestation.holds_at(now) else _UNPROVEN
    attestation: dict[str, Any] = {"level": proven.level}
    if proven.verified_at is not None:
        attestation["age_seconds"] = max(0.0, now - proven.verified_at)
    return {
        "status": device.status,
        "roles": device.roles,
        "segment": device.segment,
        "key_thumbprint": device.key_thumbprint,
        "attestation": attestation,
        "trust": _trust_facts(device, now),
    }


def _trust_facts(device: Device, now: float) -> dict[str, Any]:
    trust: dict[str, Any] = {"score": device.trust.score, "observations": device.trust.observations}
    history = device.trust_history
    if history is not None:
        trust["history"] = {
            "known_seconds": max(0.0, now - history.begun),
            "steady_seconds": max(0.0, now - history.steady_since),
            "lowest": history.lowest(now),
        }
    return trust


def added(properties: OpenModel | None, owned: frozenset[str]) -> dict[str, Any]:
    """Return what a caller added, less every name that the control plane owns."""
    extra = (properties.model_extra or {}) if properties is not None else {}
    return {name: value for name, value in extra.items() if name not in owned and value is not None}


class ExceptionSource(Protocol):
    """Knows what is excepted; `decisions.exceptions` does."""

    def of(self, subject: str, resource: str, action: str, now: float) -> Mapping[str, Mapping[str, Any]]:
        """Return the facts of the exceptions that are current at ``now`` (Unix seconds) for a request, by id."""
        ...


class PrivacySource(Protocol):
    """Knows what noise costs; `decisions.privacy` does."""

    async def submission(self, model: str, device: str, charged: PrivacyTerms | None) -> dict[str, Any] | None:
        """Return the `PrivacyFact` of a submission, none of a model without a plan.

        Args:
            model: that is trained.
            device: that submits.
            charged: what the round was charged for.
        """
        ...


class HoldSource(Protocol):
    """Knows what is held; `decisions.holds` does."""

    def of(self, segment: str | None, action: str) -> Mapping[str, Any]:
        """Return the `HoldsFact` of an action in a segment; none for a subject that nobody registered."""
        ...


class Gatherer:
    """Turns a request and what is known into the facts document of its action."""

    def __init__(
        self,
        rounds: RoundBook,
        usage: UsageSource,
        clock: Callable[[], float],
        exceptions: ExceptionSource,
        holds: HoldSource,
        models: ModelBook | None = None,
        devices: Callable[[str], Awaitable[Device | None]] | None = None,
        privacy: PrivacySource | None = None,
        results: Results | None = None,
    ) -> None:
        self._rounds = rounds
        self._usage = usage
        self._clock = clock
        self._exceptions = exceptions
        self._holds = holds
        self._models = models
        self._devices = devices
        self._privacy = privacy
        self._results = results

    async def gather(
        self,
        request: AccessRequest,
        device: Device | None,
        address: str,
        admit: Mapping[str, Any] | None = None,
        submissions: int | None = None,
        search: str = "",
    ) -> tuple[dict[str, Any], Reserved | None]:
        """Return the facts of ``request``, and what was counted of it; none of a stranger's, and none in a search.

        Args:
            request: what was asked.
            device: the registered subject, or none for a stranger.
            address: where the request came from, as this side saw it.
            admit: for an update that has arrived, its capability and evidence facts.
            submissions: what the subject submitted to the round before, where that was counted already.
            search: the decision that let somebody search, for a candidate: nothing is counted then.
        """
        now = self._clock()
        stated = request.context or RequestContext()
        context = added(stated, _OWNED_OF_CONTEXT)
        around, reserved = await self._circumstances(device, _tokens(request), now, address, search)
        context |= around
        context |= self.excepted(request.subject.id, request.resource.id, request.action.name, now)
        context["holds"] = self._holds.of(device.segment if device else None, request.action.name)
        if stated.network:
            context["network"] = stated.network.model_dump()
        if request.action.name == "inference":
            if stated.inference is not None:
                context["inference"] = stated.inference.model_dump()
        elif stated.round_id is not None:
            seen = await self._seen_round(request, stated.round_id, submissions)
            if seen is not None:
                context["round"] = seen
        if request.action.name == "model_access":
            if stated.purpose is not None:
                context["purpose"] = stated.purpose
            vouched = await self._vouched(request, stated.round_id)
            if vouched:
                context["integrity"] = vouched
        if request.action.name == "gradient_submission":
            context["phase"] = "grant" if admit is None else "admit"
            context.update(admit or {})
            if admit is None and device is not None:
                context |= await self._noise(request.resource.id, device, stated.round_id)
        return self._document(request, device, context, now), reserved

    async def gather_other(
        self, request: EvaluationRequest, device: Device | None, address: str, search: str = ""
    ) -> dict[str, Any]:
        """Return the `OtherFacts` of ``request``, whose claims are those that this caller is believed in.

        Args:
            request: what was asked.
            device: the enrolled device that the subject is, or none.
            address: where the request came from, as this side saw it.
            search: as in `gather`.
        """
        now = self._clock()
        subject: dict[str, Any] = {"type": request.subject.type, "id": request.subject.id}
        known = subject_facts(device, now)
        if known is not None:
            subject["properties"] = known
        around, _ = await self._circumstances(device, 0, now, address, search)
        return {
            "subject": subject,
            "action": {"name": request.action.name},
            "resource": {"type": request.resource.type, "id": request.resource.id},
            "context": {
                **around,
                **self.excepted(request.subject.id, request.resource.id, request.action.name, now),
            },
            "claims": {
                "subject": request.subject.properties,
                "action": request.action.properties,
                "resource": request.resource.properties,
                "context": request.context,
            },
        }

    async def proven(self, device: Device | None) -> dict[str, Any]:
        """Return the `ProvenFacts` of a device now; none of one that is not active.

        Raises:
            StoreUnavailable: the store failed; nothing is decided then.
        """
        if self._results is None or device is None or device.status != "active":
            return {}
        now = self._clock()
        return {kind: result_facts(one, now) for kind, one in counting(await self._results.of(device.id), now).items()}

    def excepted(self, subject: str, resource: str, action: str, now: float) -> dict[str, Any]:
        """Return the part of a context that says which exceptions are current at ``now``; empty when none is."""
        found = self._exceptions.of(subject, resource, action, now)
        return {"exceptions": found} if found else {}

    def release(self, reserved: Reserved | None) -> None:
        """Give back the tokens that were counted of a denied request; of none, nothing."""
        if reserved is not None:
            self._usage.release(reserved)

    async def _seen_round(
        self, request: AccessRequest, round_id: str, submissions: int | None
    ) -> dict[str, Any] | None:
        seen = await self._rounds.facts(round_id, request.subject.id)
        if seen is None or request.action.name != "gradient_submission":
            return seen
        if submissions is None:
            submissions = await self._rounds.submissions(round_id, request.subject.id)
        return {**seen, "submissions": submissions, **await self._hidden(round_id, request.subject.id)}

    async def _hidden(self, round_id: str, subject: str) -> dict[str, Any]:
        """What the round's aggregator sees; its platform, or who is in the subject's group, where that is asked for."""
        found = await self._rounds.get(round_id)
        if found is None:
            return {}
        hidden: dict[str, Any] = {"confidentiality": found.confidentiality}
        if found.confidentiality == "tee" and self._devices is not None:
            aggregator = await self._devices(found.opened_by)
            known = subject_facts(aggregator, self._clock())
            if known is not None:
                hidden["aggregator"] = {**known["attestation"], "results": await self.proven(aggregator)}
        if found.grouping is not None and found.group_size is not None and self._devices is not None:
            group = group_of(found.grouping, found.members, found.group_size, subject)
            others = await asyncio.gather(*map(self._devices, group))
            hidden["strangers"] = sum(one is None or one.status == "revoked" for one in others)
        return hidden

    async def _vouched(self, request: AccessRequest, round_id: str | None) -> dict[str, Any]:
        if self._models is None:
            return {}
        stated = request.resource.properties
        return await self._models.facts(request.resource.id, stated.digest if stated else None, round_id)

    async def _noise(self, model: str, device: Device, round_id: str | None) -> dict[str, Any]:
        if self._privacy is None:
            return {}
        opened = await self._rounds.get(round_id) if round_id is not None else None
        found = await self._privacy.submission(model, device.id, opened.privacy if opened else None)
        return {} if found is None else {"privacy": found}

    async def _circumstances(
        self, device: Device | None, tokens: int, now: float, address: str, search: str
    ) -> tuple[dict[str, Any], Reserved | None]:
        # Names that nobody registered are not remembered: they could push out those that are.
        used, reserved = Usage(0, 0), None
        if device is not None and search:
            used = await self._usage.look(device.id)
        elif device is not None:
            reserved = await self._usage.reserve(device.id, tokens)
            used = reserved.used
        usage = {"window_seconds": self._usage.window_seconds, "requests": used.requests, "tokens": used.tokens}
        around = {"time": now, "network": {"address": address}, "usage": usage}
        return ({**around, "search": search} if search else around), reserved

    def _document(
        self, request: AccessRequest, device: Device | None, context: dict[str, Any], now: float
    ) -> dict[str, Any]:
        subject: dict[str, Any] = {"type": request.subject.type, "id": request.subject.id}
        known = subject_facts(device, now)
        if known is not None:
            subject["properties"] = {**added(request.subject.properties, _OWNED_OF_SUBJECT), **known}
        resource = request.resource
        stated = resource.properties.model_dump(exclude_none=True) if resource.properties else {}
        return {
            "subject": subject,
            "action": {"name": request.action.name},
            "resource": {"type": resource.type, "id": resource.id, "properties": stated},
            "context": context,
        }


def _tokens(request: AccessRequest) -> int:
    size = request.context.inference if request.context else None
    return size.prompt_tokens + size.max_output_tokens if size and request.action.name == "inference" else 0


def evidence_facts(evidence: UpdateEvidence | None) -> dict[str, Any]:
    """Return the evidence part of an arriving update's facts; empty when it was not screened."""
    return {} if evidence is None else {"evidence": evidence.model_dump()}
