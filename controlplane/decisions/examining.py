"""Evidence is looked at: whether it answers a challenge, verifies, and carries what it has to. Policy decides then."""

import hmac
import traceback
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import structlog

from controlplane.attestation.binding import binding
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.contracts.attestation import AttestationRequest, Claims, EvidenceCause
from controlplane.contracts.identity import Device
from controlplane.decisions.gathering import subject_facts
from controlplane.decisions.verifying import NotVerified, Verifiers
from controlplane.storage.attestations import Attestations, OpenChallenge

_FRAMES = 8
"""Of a fault that are logged, the innermost."""

_CAUSES = frozenset(get_args(EvidenceCause))

_log = structlog.get_logger("ztfm.attestation")


class VerifyingObserver(Protocol):
    """Counts evidence that verified."""

    def evidence_verified(self, kind: str, seconds: float) -> None:
        """Evidence was verified within so many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Examined:
    """What a verifier found.

    Attributes:
        claims: none where the evidence does not verify.
        cause: why not; empty where it does.
        words: the same for whoever showed it.
        answers: it carries what it has to.
        binding: what that is; none without a challenge.
        platform: whether it is the one of which the device showed evidence before; none where it does not verify.
        others: how many other active devices have a proof of the same one; none where it does not verify.
    """

    claims: Claims | None
    cause: EvidenceCause | Literal[""]
    words: str = ""
    answers: bool = False
    binding: bytes | None = None
    platform: Literal["first", "same", "other"] | None = None
    others: int | None = None


class Examiner:
    """Looks at evidence.

    Args:
        verifiers: verify it.
        store: knows what was shown before.
        observer: counts.
    """

    def __init__(self, verifiers: Verifiers, store: Attestations, observer: VerifyingObserver) -> None:
        self._verifiers, self._store, self._observer = verifiers, store, observer

    async def examine(
        self,
        verifier: Verifier,
        device: Device,
        request: AttestationRequest,
        challenge: OpenChallenge | None,
        now: float,
    ) -> Examined:
        """Return what evidence says, and whether it answers its challenge.

        Args:
            verifier: of its kind.
            device: that shows it.
            request: with the evidence, untrusted.
            challenge: that it answers; none for none that is open.
            now: Unix seconds.

        Raises:
            NotVerified: it cannot be said whether it verifies.
            StoreUnavailable: the store failed.
        """
        if challenge is None:
            words = "it answers no open challenge of this device and kind: ask for one, and answer it once, in time"
            return Examined(None, "unchallenged", words)
        expected = binding(challenge.nonce, device.key_thumbprint, request.release_key)
        try:
            claims, seconds = await self._verifiers.verify(verifier, request.evidence, challenge.kept, now)
        except EvidenceRefused as error:
            return Examined(None, cause_of(error.cause), error.words, binding=expected)
        except NotVerified:
            raise
        except Exception as error:  # noqa: BLE001 - of others' code: logged, counted, and nothing is proven by it
            # Its words may repeat the evidence.
            _log.error(
                "verifier_failed",
                kind=request.kind,
                fault=type(error).__name__,
                at=[f"{one.filename}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)[-_FRAMES:]],
                remedy="the evidence counts as not verified",
            )
            return Examined(None, "fault", "its verifier failed; the operator finds why in the log", binding=expected)
        self._observer.evidence_verified(request.kind, seconds)
        if claims.kind != request.kind:
            _log.error("verifier_lied", kind=request.kind, says=claims.kind)
            return Examined(None, "fault", "its verifier says another kind of evidence", binding=expected)
        answers = hmac.compare_digest(bytes.fromhex(claims.bound), expected)
        platform = await self._compared(device.id, claims)
        others = await self._store.others(device.id, claims.platform, now)
        return Examined(claims, "", answers=answers, binding=expected, platform=platform, others=others)

    async def _compared(self, device_id: str, claims: Claims) -> Literal["first", "same", "other"]:
        before = [one.platform for one in await self._store.of(device_id) if one.kind == claims.kind]
        return "first" if not before else "same" if claims.platform in before else "other"


def facts_of(
    device: Device,
    request: AttestationRequest,
    challenge: OpenChallenge | None,
    found: Examined,
    address: str,
    now: float,
) -> dict[str, Any]:
    """Return the `AttestationFacts` of evidence.

    Args:
        device: that shows it.
        request: with the evidence.
        challenge: that it answers; none for none that is open.
        found: what was found.
        address: where it came from.
        now: Unix seconds.
    """
    asked: dict[str, Any] = {"valid": challenge is not None}
    if challenge is not None:
        asked["age_seconds"] = max(0.0, now - challenge.made_at)
    evidence: dict[str, Any] = {
        "verified": found.claims is not None,
        "cause": found.cause,
        "answers": found.answers,
    }
    if found.claims is not None:
        evidence["claims"] = found.claims
    if found.platform is not None:
        evidence["platform"] = found.platform
    if found.binding is not None:
        evidence["binding"] = found.binding.hex()
    context: dict[str, Any] = {
        "time": now,
        "network": {"address": address},
        "challenge": asked,
        "evidence": evidence,
    }
    if found.others is not None:
        context["platform"] = {"others": found.others}
    if request.release_key is not None:
        context["release_key"] = {"suite": request.release_key.suite}
    return {
        "subject": {"type": "device", "id": device.id, "properties": subject_facts(device, now)},
        "action": {"name": "attest"},
        "resource": {"type": "platform", "id": request.kind},
        "context": context,
    }


def cause_of(named: str) -> EvidenceCause:
    """Return a verifier's word for why evidence does not verify, or ``other`` for one that is not known."""
    return named if named in _CAUSES else "other"  # type: ignore[return-value]
