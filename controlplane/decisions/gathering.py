"""Gather the facts of a request. What the control plane knows wins over what it is told."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from controlplane.contracts.access import AccessRequest, EvaluationRequest, OpenModel, RequestContext
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.facts.access import GradientSubmissionContext, InferenceContext, ModelAccessContext
from controlplane.contracts.facts.subjects import SubjectFacts
from controlplane.contracts.identity import Device
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.usage import Usage, UsageWindow

_OWNED_OF_SUBJECT = frozenset(SubjectFacts.model_fields)
_OWNED_OF_CONTEXT = frozenset().union(
    *(model.model_fields for model in (ModelAccessContext, GradientSubmissionContext, InferenceContext)),
    RequestContext.model_fields,
)


def subject_facts(device: Device | None, now: float) -> dict[str, Any] | None:
    """Return what is known of a subject at ``now`` (Unix seconds), or none for a stranger."""
    if device is None:
        return None
    attestation: dict[str, Any] = {"level": device.attestation.level}
    if device.attestation.verified_at is not None:
        attestation["age_seconds"] = max(0.0, now - device.attestation.verified_at)
    return {
        "status": device.status,
        "roles": device.roles,
        "segment": device.segment,
        "key_thumbprint": device.key_thumbprint,
        "attestation": attestation,
        "trust": {"score": device.trust.score, "observations": device.trust.observations},
    }


def added(properties: OpenModel | None, owned: frozenset[str]) -> dict[str, Any]:
    """Return what a caller added, less every name that the control plane owns."""
    extra = (properties.model_extra or {}) if properties is not None else {}
    return {name: value for name, value in extra.items() if name not in owned and value is not None}


class ExceptionSource(Protocol):
    """Knows what is excepted; `decisions.exceptions` does."""

    def of(self, subject: str, resource: str, action: str, now: float) -> Mapping[str, Mapping[str, Any]]:
        """Return the facts of the exceptions that are current at ``now`` (Unix seconds) for a request, by id."""
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
        usage: UsageWindow,
        clock: Callable[[], float],
        exceptions: ExceptionSource,
        holds: HoldSource,
    ) -> None:
        self._rounds = rounds
        self._usage = usage
        self._clock = clock
        self._exceptions = exceptions
        self._holds = holds

    async def gather(
        self,
        request: AccessRequest,
        device: Device | None,
        address: str,
        admit: Mapping[str, Any] | None = None,
        submissions: int | None = None,
        search: str = "",
    ) -> dict[str, Any]:
        """Return the facts of ``request``.

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
        context |= self._circumstances(device, _tokens(request), now, address, search)
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
        if request.action.name == "model_access" and stated.purpose is not None:
            context["purpose"] = stated.purpose
        if request.action.name == "gradient_submission":
            context["phase"] = "grant" if admit is None else "admit"
            context.update(admit or {})
        return self._document(request, device, context, now)

    def gather_other(
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
        return {
            "subject": subject,
            "action": {"name": request.action.name},
            "resource": {"type": request.resource.type, "id": request.resource.id},
            "context": {
                **self._circumstances(device, 0, now, address, search),
                **self.excepted(request.subject.id, request.resource.id, request.action.name, now),
            },
            "claims": {
                "subject": request.subject.properties,
                "action": request.action.properties,
                "resource": request.resource.properties,
                "context": request.context,
            },
        }

    def excepted(self, subject: str, resource: str, action: str, now: float) -> dict[str, Any]:
        """Return the part of a context that says which exceptions are current at ``now``; empty when none is."""
        found = self._exceptions.of(subject, resource, action, now)
        return {"exceptions": found} if found else {}

    def release(self, request: AccessRequest) -> None:
        """Give back what a denied request had reserved."""
        self._usage.release(request.subject.id, _tokens(request))

    async def _seen_round(
        self, request: AccessRequest, round_id: str, submissions: int | None
    ) -> dict[str, Any] | None:
        seen = await self._rounds.facts(round_id, request.subject.id)
        if seen is None or request.action.name != "gradient_submission":
            return seen
        if submissions is None:
            submissions = await self._rounds.submissions(round_id, request.subject.id)
        return {**seen, "submissions": submissions}

    def _circumstances(
        self, device: Device | None, tokens: int, now: float, address: str, search: str
    ) -> dict[str, Any]:
        if device is None:
            # Names that nobody registered are not remembered: they could push out those that are.
            used = Usage(0, 0)
        else:
            used = self._usage.look(device.id) if search else self._usage.reserve(device.id, tokens)
        usage = {"window_seconds": self._usage.window_seconds, "requests": used.requests, "tokens": used.tokens}
        around = {"time": now, "network": {"address": address}, "usage": usage}
        return {**around, "search": search} if search else around

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
