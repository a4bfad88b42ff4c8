"""Whether a control plane can decide, as it tells those who ask."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.contracts.policies import PolicyStanding


@dataclass(frozen=True)
class Readiness:
    """Whether the parts that a decision needs are there.

    Attributes:
        ready: all of them.
        checks: each by name: ``ok`` or what is wrong.
        policy_revision: the revision that decides; empty when none does.
        policy_age_seconds: since it was published; none when that is not known.
        policies: where each layer stands.
    """

    ready: bool
    checks: Mapping[str, str]
    policy_revision: str
    policy_age_seconds: float | None
    policies: PolicyStanding
