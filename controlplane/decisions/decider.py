"""Decide: ask the engine, make anything but a well-formed answer a deny, record it, count it."""

from collections.abc import Callable
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from controlplane.contracts.access import AccessReason
from controlplane.contracts.base import StrictModel
from controlplane.contracts.capability import MIN_LIFETIME_SECONDS
from controlplane.contracts.decision import Decision, Obligations, PolicyDecision
from controlplane.contracts.facts import FACTS
from controlplane.decisions.engine import Answer, Answered, Cause, PolicyEngine
from controlplane.decisions.ids import new_id
from controlplane.telemetry.tracing import NO_SPAN, UNTRACED, Span, Tracing, said_of

_NAMED_BY_ACTION = frozenset({"admin", "other"})
"""Packages that decide many actions; the others are called as their action is."""

_SEARCH = "search"

_REMEDY = "Try again shortly; if it persists, the operator should look at /readyz."
_MESSAGES: dict[Cause | str, str] = {
    "circuit_open": "The policy engine has been failing and calls to it are suspended.",
    "overloaded": "More decisions are waiting than the policy engine can take.",
    "deadline": "The policy engine did not answer in time.",
    "unreachable": "The policy engine cannot be reached.",
    "engine_error": "The policy engine reported an error.",
    "undefined": "No active policy defines this decision.",
    "malformed": "The policy's answer does not have the form of a decision.",
}


class DecisionRecorder(Protocol):
    """Keeps decisions durably."""

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        """Return once the record is durable.

        Raises:
            Exception: it could not be kept; the decision must not be given out.
        """
        ...


class LogTerms(Protocol):
    """Keeps out of records what policy masks."""

    async def kept(self, package: str, revision: str, facts: StrictModel, document: bytes) -> tuple[bytes, list[str]]:
        """Return what is recorded of facts that ``revision`` decided on, and pointers to what was kept out."""
        ...


class DecisionObserver(Protocol):
    """Counts decisions."""

    def decided(self, package: str, decision: Decision, seconds: float) -> None:
        """A decision of ``package``, or one that a search asked for, was recorded ``seconds`` after its facts were."""
        ...


class Shadow(Protocol):
    """Sees decisions that were made, and has no say in them."""

    def offer(self, package: str, facts: bytes, decision: Decision) -> None:
        """Take a recorded decision, and the facts that policy was asked about; at once, and whatever happens."""
        ...


class Decider:
    """The one way to a decision, for every action and for the control plane's own API."""

    def __init__(
        self,
        engine: PolicyEngine,
        recorder: DecisionRecorder,
        observer: DecisionObserver,
        log: LogTerms,
        *,
        clock: Callable[[], float],
        timer: Callable[[], float],
        published_at: Callable[[str], float | None] = lambda _revision: None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._engine = engine
        self._recorder = recorder
        self._observer = observer
        self._log = log
        self._clock = clock
        self._timer = timer
        self._published_at = published_at
        self._tracing = tracing
        self._shadow: Shadow | None = None

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        """Decide ``facts`` by ``data.ztfm.<package>`` and return the decision once it is recorded.

        Raises:
            ValidationError: the facts do not fit the package's contract; OPA was not asked.
            Exception: the decision could not be recorded, and so was not made.
        """
        # A search asks by the hundred: what it asked is seen in its request.
        context = facts.get("context")  # not validated yet
        is_request = not (isinstance(context, dict) and "search" in context)
        with self._tracing.span(f"decide {package}") if is_request else NO_SPAN as span:
            return await self._decide(package, facts, _SEARCH if not is_request else package, span)

    async def _decide(self, package: str, facts: dict[str, Any], counted_as: str, span: Span) -> Decision:
        started = self._timer()
        checked = FACTS[package].model_validate(facts)
        document = checked.__pydantic_serializer__.to_json(checked, exclude_none=True)
        answer = await self._engine.ask(package, document)
        seconds = self._timer() - started
        decision = conclude(answer, package, facts, self._clock(), self._published_at)
        if span.is_recorded:
            span.note(said_of(package, decision))
        kept, masked = await self._log.kept(package, decision.policy_revision, checked, document)
        record = _record(decision, kept, masked, seconds)
        await self._recorder.record(decision.id, decision.time, package, decision.subject, decision.outcome, record)
        # What a search asks is nobody's request: counted apart, it distorts no rate of requests or denials.
        self._observer.decided(counted_as, decision, self._timer() - started)
        if self._shadow is not None and counted_as == package:
            self._shadow.offer(package, document, decision)
        return decision

    def accompany(self, shadow: Shadow | None) -> None:
        """Let ``shadow`` see every decision from now on, searches apart; none for nobody."""
        self._shadow = shadow


def _record(decision: Decision, facts: bytes, masked: list[str], seconds: float) -> bytes:
    """Return a `DecisionRecord` as JSON; its parts are JSON already or ours, and are joined."""
    whole = decision.__pydantic_serializer__.to_json(decision)[:-1]
    more = orjson.dumps({"seconds": round(seconds, 6), "masked": masked})[1:-1]
    return whole + b"," + more + b',"facts":' + facts + b"}"


def conclude(
    answer: Answer,
    package: str,
    facts: dict[str, Any],
    now: float,
    published_at: Callable[[str], float | None] = lambda _revision: None,
) -> Decision:
    """Turn an engine's answer into a decision; whatever is not a well-formed decision is an error, hence a deny.

    Args:
        answer: of the engine.
        package: that was asked.
        facts: that it was asked about.
        now: Unix seconds.
        published_at: says when a revision was published, Unix seconds.
    """
    named = {
        "id": new_id("dec", now),
        "time": now,
        "action": facts["action"]["name"] if package in _NAMED_BY_ACTION else package,
        "subject": facts["subject"]["id"],
        "resource": facts["resource"]["id"],
    }
    if not isinstance(answer, Answered):
        return _error(named, answer.cause, "")
    try:
        policy = PolicyDecision.model_validate(answer.document)
    except ValidationError:
        return _error(named, "malformed", answer.revision)
    if policy.allow and (policy.reasons or policy.ttl_seconds < MIN_LIFETIME_SECONDS or not policy.rules):
        return _error(named, "malformed", answer.revision)
    published = published_at(answer.revision)
    # Its parts are validated already, or ours.
    return Decision.of_trusted(
        **named,
        outcome="allow" if policy.allow else "deny",
        reasons=policy.reasons,
        obligations=policy.obligations,
        rules=policy.rules,
        ttl_seconds=policy.ttl_seconds,
        policy_revision=answer.revision,
        policy_age_seconds=None if published is None else max(0.0, round(now - published, 3)),
    )


def _error(named: dict[str, Any], cause: str, revision: str) -> Decision:
    return Decision(
        **named,
        outcome="error",
        reasons=[AccessReason(code=f"policy_{cause}", message=_MESSAGES[cause], remedy=_REMEDY)],
        obligations=Obligations(),
        rules=[],
        ttl_seconds=0.0,
        policy_revision=revision,
    )
