"""What policy answered: values that never raise on a denial, until `require` is called."""

from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, ValidationError

from adapters.errors import Denied, Unavailable
from adapters.reasons import told
from controlplane.contracts.access import AccessReason
from controlplane.contracts.base import Identifier, StrictModel
from controlplane.contracts.capability import Capability
from controlplane.contracts.decision import MAX_REASONS, AccessResponse, Obligations, Outcome
from controlplane.contracts.problem import Problem


@dataclass(frozen=True, slots=True)
class _Answer:
    """What all answers of policy have.

    Attributes:
        allowed: the request may go on. The value itself is never true or false: ask for this.
        reasons: what was missing, each with a code, a message and a remedy; empty when allowed.
        id: of the recorded decision; empty where none was recorded.
        policy_revision: of the policy that decided; empty when none could be asked.
        outcome: ``error`` denies as ``deny`` does, and says that policy could not be asked.
    """

    allowed: bool
    reasons: tuple[AccessReason, ...]
    id: str
    policy_revision: str
    outcome: Outcome

    def __bool__(self) -> bool:
        raise TypeError("ask for `.allowed`: an answer is there whether it allows or denies")

    def _refuse(self) -> None:
        if self.allowed:
            return
        shown = told(self.reasons)
        if self.outcome == "error":
            raise Unavailable(f"policy could not be asked. {shown}".rstrip(), is_untouched=True)
        raise Denied(f"policy denies this. {shown}".rstrip(), reasons=self.reasons, decision_id=self.id or None)


@dataclass(frozen=True, slots=True)
class Decision(_Answer):
    """One evaluation (AuthZEN 1.0).

    Attributes:
        obligations: what must be done with it.
        ttl_seconds: how long it may be relied on; 0 when denied.
    """

    obligations: Obligations
    ttl_seconds: float

    def require(self) -> Self:
        """Return this decision when it allows.

        Raises:
            Denied: it does not.
            Unavailable: policy could not be asked, which allows nothing.
        """
        self._refuse()
        return self


@dataclass(frozen=True, slots=True)
class Grant(_Answer):
    """The answer to the wish for a capability.

    Attributes:
        capability: what was handed out; none when denied.
    """

    capability: Capability | None

    def require(self) -> Capability:
        """Return the capability.

        Raises:
            Denied: policy gave none.
        """
        self._refuse()
        if self.capability is None:
            raise Unavailable("the answer allows, and brings no capability")
        return self.capability


class _Context(StrictModel):
    """What our control plane says beside the boolean; what another one adds is passed over."""

    id: Identifier
    outcome: Outcome
    policy_revision: str
    ttl_seconds: float
    obligations: Obligations
    reasons: list[AccessReason] = Field(default_factory=list, max_length=MAX_REASONS)


def decision_of(answer: AccessResponse) -> Decision:
    """Return an evaluation's answer as a value.

    Raises:
        Unavailable: it allows with something that is not understood, such as an obligation: that must not be acted on.
    """
    stated: dict[str, Any] = dict(answer.context or {})
    try:
        context = _Context.model_validate({name: stated[name] for name in _Context.model_fields if name in stated})
    except ValidationError as error:
        if answer.decision:
            fields = ", ".join(sorted({str(item["loc"][0]) for item in error.errors(include_input=False)}))
            raise Unavailable(f"the answer allows in terms that this version does not know ({fields})") from None
        outcome: Outcome = "error" if stated.get("outcome") == "error" or "error" in stated else "deny"
        return Decision(False, _reasons(stated), "", "", outcome, Obligations(), 0.0)
    if answer.decision != (context.outcome == "allow"):
        raise Unavailable("the answer allows and denies at once; it is not acted upon")
    return Decision(
        allowed=answer.decision,
        reasons=tuple(context.reasons),
        id=context.id,
        policy_revision=context.policy_revision,
        outcome=context.outcome,
        obligations=context.obligations,
        ttl_seconds=context.ttl_seconds,
    )


def granted(capability: Capability) -> Grant:
    """Return the answer that brings a capability."""
    return Grant(True, (), capability.decision_id, capability.policy_revision, "allow", capability)


def refused(problem: Problem) -> Grant:
    """Return the answer that a denial's problem document stands for."""
    return Grant(False, tuple(problem.reasons or ()), problem.decision_id or "", "", "deny", None)


def _reasons(stated: dict[str, Any]) -> tuple[AccessReason, ...]:
    """Return the reasons of an answer that is not ours, or the error of an element (AuthZEN 1.0 section 7.2)."""
    listed, error = stated.get("reasons"), stated.get("error")
    found: list[Any] = listed[:MAX_REASONS] if isinstance(listed, list) else []
    if isinstance(error, dict):
        message = str(error.get("message", ""))[:512]
        found = [*found, {"code": "not_evaluated", "message": message, "remedy": "Correct the request, or ask again."}]
    reasons = []
    for one in found:
        try:
            reasons.append(AccessReason.model_validate(one))
        except ValidationError:
            continue
    return tuple(reasons)
