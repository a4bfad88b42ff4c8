"""Make anything but a whole answer that proves all it requires a veto. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.site.errors import fault_reason
from controlplane.contracts.access import AccessReason
from controlplane.contracts.site import MAX_CODES, ModelInFacts, SiteAnswer, SiteLimits, UpdateOutFacts

_NO_TEXT = ("The site's policy requires this.", "Ask the site's owner.")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a site decided of one question.

    Attributes:
        reasons: what was missing; empty when it is allowed.
        limits: that must be kept.
    """

    allowed: bool
    reasons: tuple[AccessReason, ...]
    limits: SiteLimits = field(default_factory=SiteLimits)

    @property
    def codes(self) -> list[str]:
        """The reasons as they are told: codes alone, for the texts are the site's."""
        return [reason.code.removeprefix("site:") for reason in self.reasons][:MAX_CODES]


def faulty(code: str) -> Ruling:
    """Return the veto of a site that cannot decide."""
    return Ruling(False, (fault_reason(code),))


def conclude(
    answer: SiteAnswer, limits: SiteLimits, texts: Mapping[str, Any], facts: ModelInFacts | UpdateOutFacts
) -> Ruling:
    """Return the ruling on facts.

    Args:
        answer: of the policy.
        limits: of the policy.
        texts: message and remedy by code, as the policy's data hold them.
        facts: that it was asked about.
    """
    reasons = [_reason(code, texts) for code in sorted(set(answer.required) - set(answer.proven))]
    reasons += [fault_reason(code) for code in _exceeded(limits, facts)]
    return Ruling(not reasons, tuple(reasons), limits)


def _exceeded(limits: SiteLimits, facts: ModelInFacts | UpdateOutFacts) -> Sequence[str]:
    """Return what is above its limit, or may be, for nobody says how much it is."""
    pairs: Sequence[tuple[str, float | None, float | None]]
    if isinstance(facts, ModelInFacts):
        pairs = (("bytes_exceeded", facts.resource.properties.size_bytes, limits.max_bytes),)
    else:
        update = facts.context.update
        pairs = (
            ("epsilon_exceeded", update.epsilon, limits.epsilon),
            ("examples_exceeded", update.examples, limits.max_examples),
            ("norm_exceeded", update.norm, limits.max_norm),
        )
    return [code for code, value, most in pairs if most is not None and (value is None or value > most)]


def _reason(code: str, texts: Mapping[str, Any]) -> AccessReason:
    found = texts.get(code)
    text = found if isinstance(found, dict) else {}
    message, remedy = (
        str(text.get(name, default))[:512] for name, default in zip(("message", "remedy"), _NO_TEXT, strict=True)
    )
    return AccessReason(code=f"site:{code}", message=message, remedy=remedy)
