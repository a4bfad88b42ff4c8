"""Release secrets to attested platforms: policy decides, and they are sealed to the key that evidence binds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.keeping import SecretBook
from controlplane.confidentiality.releasing import seal_release
from controlplane.contracts.access import Purpose
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device
from controlplane.contracts.secrets import ReleasedSecret
from controlplane.decisions.decider import Decider
from controlplane.decisions.gathering import ExceptionSource, subject_facts
from controlplane.decisions.proven import Results, counting, result_facts

ACTION = "key_release"


@dataclass(frozen=True)
class Shown:
    """A capability that came with a request.

    Attributes:
        claims: of it; none where it does not hold for this.
        cause: why not.
    """

    claims: CapabilityClaims | None
    cause: str


@dataclass(frozen=True)
class Released:
    """What became of a request.

    Attributes:
        decision: of policy.
        answer: the secret, sealed; none where it was denied, or nothing can be sealed to the device's key.
        is_overtaken: what policy decided on held no longer when the secret was to be sealed.
    """

    decision: Decision
    answer: ReleasedSecret | None
    is_overtaken: bool = False


class KeyRelease:
    """Decides on requests for secrets and carries them out.

    Args:
        decider: asks policy, and records.
        exceptions: knows what is excepted; policy lets nothing of the platform be.
        results: of attestation.
        book: the secrets.
        clock: Unix seconds.
    """

    def __init__(
        self,
        decider: Decider,
        exceptions: ExceptionSource,
        results: Results,
        book: SecretBook,
        clock: Callable[[], float],
    ) -> None:
        self._decider = decider
        self._exceptions = exceptions
        self._results = results
        self._book = book
        self._clock = clock

    async def release(
        self, device: Device, secret: str, purpose: Purpose, shown: Shown | None, address: str
    ) -> Released:
        """Decide whether a device gets a secret, and seal it to the release key of the evidence that policy picks.

        Args:
            device: that asks, as it is known now.
            secret: its name.
            purpose: for what.
            shown: the capability for the model whose shard the secret opens; none where none came.
            address: where the request came from.

        Raises:
            Exception: the decision could not be recorded, the store failed, or the secret does not open with this
                sealing key.
        """
        now = self._clock()
        is_kept = await self._book.find(secret) is not None
        results = counting(await self._results.of(device.id), now)
        context: dict[str, Any] = {
            "time": now,
            "network": {"address": address},
            "purpose": purpose,
            "registered": is_kept,
            "results": {kind: _bound_facts(one, now) for kind, one in results.items()},
        }
        excepted = self._exceptions.of(device.id, secret, ACTION, now)
        if excepted:
            context["exceptions"] = excepted
        if shown is not None:
            context["capability"] = _capability_facts(shown, now)
        facts = {
            "subject": {"type": "device", "id": device.id, "properties": subject_facts(device, now)},
            "action": {"name": ACTION},
            "resource": {"type": "secret", "id": secret},
            "context": context,
        }
        decision = await self._decider.decide(ACTION, facts)
        picked = results.get(decision.obligations.release_to or "")
        if not decision.allowed or picked is None or picked.release_key is None:
            return Released(decision, None)
        # A secret that was released is not called back: what was decided on must hold at the moment of sealing too.
        kept = await self._book.still(secret, device, picked)
        if kept is None:
            return Released(decision, None, is_overtaken=True)
        try:
            answer = seal_release(
                self._book.open(kept),
                picked.release_key,
                secret=secret,
                device=device.id,
                kind=picked.kind,
                decision_id=decision.id,
                policy_revision=decision.policy_revision,
                expires_at=min(now + decision.ttl_seconds, picked.expires_at),
            )
        except SealRefused:
            # Its evidence binds what is no key of the suite that it names.
            return Released(decision, None)
        return Released(decision, answer)


def _bound_facts(result: KeptResult, now: float) -> dict[str, Any]:
    bound = {} if result.release_key is None else {"suite": result.release_key.suite}
    return result_facts(result, now) | bound


def _capability_facts(shown: Shown, now: float) -> dict[str, Any]:
    claims = shown.claims
    limits = claims.detail.constraints if claims else None
    return {
        "verified": claims is not None,
        "cause": shown.cause,
        "model": claims.detail.resource_id if claims else "",
        "purpose": (limits.purpose or "") if limits else "",
        "whole": limits is not None and limits.shards is None,
        "shards": list(limits.shards or []) if limits else [],
        "age_seconds": max(0.0, now - claims.iat) if claims else 0.0,
    }
