"""Decide at a site without contact to the control plane, by the same signed policies. Needs the extra ``embedded``.

For an inference gateway, or a device of one's own kind (`ztfm.extra`), that must go on while the line is down. The site
can know what it sees itself and what it was told before; what only the control plane knows it cannot, and does not make
up:

| fact | offline |
|---|---|
| policies | the bundle that was loaded; whether a newer one was published is not known |
| the subject's status, roles, trust, attestation | as they were told at `known_at`; when that is too old, it denies |
| revocations since then | not known: ``max_age_seconds`` is how long a revoked subject goes on |
| time, network, size of the request | the site's own |
| use within budgets | what the site counted; what was used elsewhere is not in it |
| granted exceptions | none: one may have been revoked |
| rounds, one-time use, tokens, admin rights | not known: what needs them is not decided here |

Nothing is recorded here but what the caller records. Whatever goes wrong denies.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError

from controlplane.bundles import Trust, verify
from controlplane.bundles.combined import EmbeddedPolicies, LoadedBundle
from controlplane.bundles.embedded import CompiledPolicy, EmbeddedFault
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.shipped import LAYERS, read_shipped
from controlplane.contracts.access import AccessReason
from controlplane.contracts.capability import MIN_LIFETIME_SECONDS
from controlplane.contracts.decision import Obligations, PolicyDecision
from controlplane.contracts.facts import FACTS
from controlplane.contracts.policies import LAYERS as ORDER
from controlplane.contracts.policies import PolicyLayer

DECIDABLE = frozenset({"inference", "other"})
"""Packages whose decisions need nothing that the control plane alone knows at that moment."""

MAX_AGE_SECONDS = 3600.0
"""How old what is known of a subject may be, where nobody says otherwise."""

_AHEAD_SECONDS = 5.0
_REMEDY = "Restore the line to the control plane."
_REASONS = {
    "not_decidable_offline": "This needs what only the control plane knows.",
    "facts_malformed": "The facts do not have the form of this decision's.",
    "facts_too_old": "What is known of the subject is too old, or from the future.",
    "policy_failed": "The policies gave no decision.",
}


@dataclass(frozen=True)
class OfflineDecision:
    """A decision of the site alone.

    Attributes:
        allowed: whether the request may go on.
        reasons: what was missing, each with a remedy; empty only when it is allowed.
        obligations: what must be done with it.
        ttl_seconds: how long it may be relied on; 0 when denied.
        policy_revision: of the policies that decided; empty when none did.
    """

    allowed: bool
    reasons: tuple[AccessReason, ...]
    obligations: Obligations = field(default_factory=Obligations)
    ttl_seconds: float = 0.0
    policy_revision: str = ""


class OfflinePolicy:
    """Verified policies that decide without contact. Safe to call from threads; a call takes about a millisecond.

    Use it as a context manager, or close it. Build it with `load`.
    """

    def __init__(
        self,
        bundles: Mapping[PolicyLayer, LoadedBundle],
        combination: CompiledPolicy | None,
        max_age_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._bundles = dict(bundles)
        self._combination = combination
        self._policies = EmbeddedPolicies(self._bundles, [name for name in ORDER[1:] if name in bundles], combination)
        self._max_age_seconds = max_age_seconds
        self._clock = clock

    @classmethod
    def load(
        cls,
        bundle: bytes,
        trust: Trust,
        *,
        layers: Mapping[PolicyLayer, bytes] | None = None,
        max_age_seconds: float = MAX_AGE_SECONDS,
        limits: EmbeddedLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> "OfflinePolicy":
        """Verify and load signed bundles.

        Args:
            bundle: the base's, as ``ztfm policy build`` writes it.
            trust: who may sign, as `Trust.of_folder` reads it.
            layers: the bundles of ``tenant`` and ``site`` where these decide too. Give all that the control plane
                expects: without them more is allowed here than there.
            max_age_seconds: how old what is known of a subject may be.
            limits: the bounds of an evaluation.
            clock: Unix seconds.

        Raises:
            BundleRefused: one is not signed by who is trusted for it, or cannot be evaluated; nothing is decided.
            NotShipped: layers are given, and the installation lacks what combines them.
        """
        bodies: dict[PolicyLayer, bytes] = {"base": bundle, **(layers or {})}
        loaded: dict[PolicyLayer, LoadedBundle] = {}
        try:
            for layer, body in bodies.items():
                loaded[layer] = LoadedBundle(verify(body, trust, layer), limits)
            combination = CompiledPolicy(read_shipped()[LAYERS], {}, limits) if len(loaded) > 1 else None
        except BaseException:
            for one in loaded.values():
                one.close()
            raise
        return cls(loaded, combination, max_age_seconds, clock)

    def decide(self, package: str, facts: Mapping[str, Any], *, known_at: float) -> OfflineDecision:
        """Decide a request; blocking, and it never raises for what facts or policies are.

        Args:
            package: ``inference``, or ``other`` for an action of one's own kind.
            facts: as the package's schema has them (`policies/schemas/input`), without ``context.time``, which is the
                clock's.
            known_at: Unix seconds at which the control plane told what is in ``subject.properties``.
        """
        now = self._clock()
        if package not in DECIDABLE:
            return _denied("not_decidable_offline")
        if not -_AHEAD_SECONDS <= now - known_at <= self._max_age_seconds:
            return _denied("facts_too_old")
        try:
            context = {**facts["context"], "time": now}
            if context.get("exceptions"):
                return _denied("not_decidable_offline")
            document = FACTS[package].model_validate({**facts, "context": context}).model_dump_json(exclude_none=True)
        except (ValidationError, KeyError, TypeError, ValueError):
            return _denied("facts_malformed")
        try:
            answer = self._policies.answer(f'{{"{package}":{{"0":{document}}}}}'.encode())
            decided = PolicyDecision.model_validate(answer.documents["0"])
        except (EmbeddedFault, ValidationError, KeyError):
            return _denied("policy_failed")
        return _concluded(decided, answer.revision)

    def close(self) -> None:
        """Give the memory back."""
        for held in (*self._bundles.values(), self._combination):
            if held is not None:
                held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _concluded(decided: PolicyDecision, revision: str) -> OfflineDecision:
    if not decided.allow:
        return OfflineDecision(False, tuple(decided.reasons), decided.obligations, 0.0, revision)
    if decided.reasons or not decided.rules or decided.ttl_seconds < MIN_LIFETIME_SECONDS:
        return _denied("policy_failed")
    return OfflineDecision(True, (), decided.obligations, decided.ttl_seconds, revision)


def _denied(code: str) -> OfflineDecision:
    return OfflineDecision(False, (AccessReason(code=code, message=_REASONS[code], remedy=_REMEDY),))
