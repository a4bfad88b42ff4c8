"""Whether a capability lets weights out or an update in: decided offline, with the published keys and revocations."""

from collections.abc import Callable, Collection
from typing import Literal

from adapters.flower.proxy import refusing
from adapters.flower.proxy.calling import Asked
from adapters.flower.proxy.deliveries import Delivered
from adapters.flower.proxy.headers import AnnouncedRound
from adapters.keys import KeySource
from adapters.plane import ControlPlane
from controlplane.capabilities.proof import Proof
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.replay import ReplayCache
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import CapabilityClaims

Action = Literal["model_access", "gradient_submission"]


class Rights:
    """Verifies capabilities for this proxy. Belongs to one event loop.

    The proof that came with a capability was verified before, with the capability's hash in it.

    Args:
        plane: where the issuer's keys are fetched.
        issuer: whose capabilities are accepted.
        audience: this proxy; capabilities must be for it.
        models: that may be trained behind it.
        standings: knows what was revoked.
        segment: from which devices are taken; none for any.
        clock: Unix seconds.
    """

    def __init__(
        self,
        plane: ControlPlane,
        issuer: str,
        audience: str,
        models: Collection[str],
        standings: Standings,
        segment: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._models = frozenset(models)
        self._segment = segment
        self._used = ReplayCache(clock)
        self._verifier = CapabilityVerifier({"keys": []}, issuer, audience, clock, standings=standings)
        self._keys = KeySource(plane.jwks, self._verifier.update_keys)

    async def start(self) -> bool:
        """Fetch the issuer's keys, and return whether they came."""
        return await self._keys.ready()

    async def close(self) -> None:
        """End what is being fetched."""
        await self._keys.close()

    async def pull(
        self, capability: str | None, proof: Proof, announced: AnnouncedRound | None
    ) -> CapabilityClaims | Refused:
        """Return the claims of a capability to have a round's weights, or why there is none that holds."""
        claims = await self._claims("model_access", capability, proof, announced)
        if isinstance(claims, Refused):
            return claims
        limits = claims.detail.constraints
        if limits.purpose != "training":
            return Refused("wrong_purpose", "The capability is not for training.")
        if limits.model_digest is None:
            return Refused("wrong_digest", "The capability does not name the weights.")
        return claims

    async def submission(
        self, capability: str | None, proof: Proof, announced: AnnouncedRound | None
    ) -> CapabilityClaims | Refused:
        """Return the claims of a capability to submit an update, and use it up; or why there is none that holds."""
        claims = await self._claims("gradient_submission", capability, proof, announced)
        if isinstance(claims, Refused):
            return claims
        if not claims.detail.constraints.one_time:
            return Refused("malformed", "A capability to submit must be for one use.")
        if self._used.use(claims.jti, claims.exp) != "first":
            return Refused("replayed", "The capability may be used once, and was.")
        return claims

    async def _claims(
        self, action: Action, capability: str | None, proof: Proof, announced: AnnouncedRound | None
    ) -> CapabilityClaims | Refused:
        if announced is None or announced.terms.model not in self._models:
            return Refused("wrong_round", "The message belongs to no sealed round of a model of this proxy.")
        if capability is None:
            return Refused("malformed", "There is no capability.")
        if not await self._keys.ready():
            return Refused("unknown_key", "The issuer's keys could not be had for too long; none is trusted.")
        verdict = self._inspect(action, capability, announced)
        if isinstance(verdict, Refused) and verdict.cause == "unknown_key" and await self._keys.renew():
            verdict = self._inspect(action, capability, announced)
        if isinstance(verdict, Refused):
            return verdict
        if verdict.cnf.jkt != proof.thumbprint:
            return Refused("wrong_key", "The capability is bound to another key.")
        return verdict

    def _inspect(self, action: Action, capability: str, announced: AnnouncedRound) -> CapabilityClaims | Refused:
        terms = announced.terms
        return self._verifier.inspect(
            capability,
            action=action,
            resource_id=terms.model,
            round_id=terms.round_id,
            model_digest=terms.model_digest if action == "model_access" else None,
            segment=self._segment,
        )


def unentitled(refused: Refused, asked: Asked, delivered: Delivered) -> refusing.Refused:
    """Return what is said to a device without a capability that holds, with the round that it needs one for."""
    if refused.cause == "revocations_unknown":
        return refusing.Refused(refusing.busy(refused.cause))
    cause: str = refused.cause
    if delivered.announced is None:
        cause = "unsealed_round"
    elif asked.caller.capability is None:
        cause = "no_capability"
    return refusing.Refused(refusing.denied(cause, delivered.announced))
