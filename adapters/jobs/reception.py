"""Look at a capability and its proof when they arrive, without using them up: the guard does that at the gate.

So a client learns at once what is wrong, and nothing is stored for whoever has no capability.
"""

import time
from collections.abc import Callable, Collection
from typing import Literal, Self

from adapters.credentials import PULL, SUBMIT, Credentials, RoundTerms, target
from adapters.keys import KeySource, published_at
from adapters.transport import Transport
from controlplane.capabilities.limits import exceeded
from controlplane.capabilities.proof import Proof, examine
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS, CapabilityClaims

Action = Literal["model_access", "gradient_submission"]

_METHODS = {"model_access": PULL, "gradient_submission": SUBMIT}


class Reception:
    """Looks at credentials.

    Args:
        issuer: whose capabilities are accepted.
        audience: this enforcement point.
        clock: Unix seconds.
        segment: from which devices are taken; none for any.
        standings: knows what was revoked; none leaves that to the guard.
        transport: fetches the issuer's keys; none for one of its own.
        shards: the parts of the model that its rounds train; none for all of it.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
        *,
        segment: str | None = None,
        standings: Standings | None = None,
        transport: Transport | None = None,
        shards: Collection[str] | None = None,
    ) -> None:
        self._shards = shards
        self._clock = clock
        self._segment = segment
        self._verifier = CapabilityVerifier({"keys": []}, issuer, audience, clock, standings=standings)
        self._transport = transport or Transport()
        self._keys = KeySource(published_at(issuer.rstrip("/"), self._transport), self._verifier.update_keys)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._keys.close()
        await self._transport.close()

    async def look(
        self,
        shown: Credentials,
        action: Action,
        terms: RoundTerms,
        *,
        digest: str | None = None,
        size_bytes: int = 0,
        sealed_to: str | None = None,
    ) -> Refused | None:
        """Return why credentials would not hold for this, or none. What is wrong with the proof comes first.

        Args:
            shown: what came with the request.
            action: what is asked for.
            terms: of the round.
            digest: of the update; none while it is not known.
            size_bytes: of what is sent, in either direction.
            sealed_to: digest of the key of this aggregator that an update comes sealed to; none where it does not.
        """
        proof = examine(
            shown.proof,
            method=_METHODS[action],
            url=target(terms.audience, terms.round_id),
            now=self._clock(),
            max_age_seconds=float(MAX_LIFETIME_SECONDS),
            access_token=shown.capability,
            digest=digest,
        )
        if not isinstance(proof, Proof):
            return proof
        claims = await self._claims(shown, action, terms)
        if isinstance(claims, Refused):
            return claims
        if claims.cnf.jkt != proof.thumbprint:
            return Refused("wrong_key", "The capability is bound to another key.")
        if claims.detail.constraints.sealed_to not in (None, sealed_to):
            return Refused("not_sealed", "The update must come sealed to the key that the capability names.")
        named = claims.detail.constraints.shards
        if named is not None and (self._shards is None or not set(self._shards) <= set(named)):
            return Refused("wrong_shards", "The capability is for other parts of the weights than this job trains.")
        return exceeded(claims.detail.constraints, size_bytes=size_bytes)

    async def has_key(self, name: str, mark: str, capability: str) -> bool:
        """Whether a capability that holds says that a name has the key with a thumbprint; no proof is looked at."""
        if not await self._keys.ready():
            return False
        found = self._verifier.recognise(capability)
        if isinstance(found, Refused) and found.cause == "unknown_key" and await self._keys.renew():
            found = self._verifier.recognise(capability)
        return not isinstance(found, Refused) and (found.sub, found.cnf.jkt) == (name, mark)

    async def _claims(self, shown: Credentials, action: Action, terms: RoundTerms) -> CapabilityClaims | Refused:
        if not await self._keys.ready():
            return Refused("revocations_unknown", "The issuer's keys could not be had; no capability is trusted.")
        found = self._inspect(shown, action, terms)
        if isinstance(found, Refused) and found.cause == "unknown_key" and await self._keys.renew():
            found = self._inspect(shown, action, terms)
        return found

    def _inspect(self, shown: Credentials, action: Action, terms: RoundTerms) -> CapabilityClaims | Refused:
        return self._verifier.inspect(
            shown.capability,
            action=action,
            subject=shown.subject,
            resource_id=terms.model,
            round_id=terms.round_id,
            model_digest=terms.model_digest if action == "model_access" else None,
            segment=self._segment,
        )
