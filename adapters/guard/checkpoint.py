"""Verify what devices present, offline, with keys that follow the issuer's."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from adapters.credentials import IDENTIFY, PULL, SUBMIT, Credentials, Introduction, RoundTerms, target
from adapters.errors import ControlPlaneError
from adapters.keys import TRUSTED_SECONDS
from adapters.naming import Names
from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.limits import exceeded
from controlplane.capabilities.proof import Proof, ProofVerifier
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS, CapabilityClaims
from controlplane.jose.jws import parse, parse_object

REFRESH_SECONDS = 5.0
"""An unknown key has the published ones fetched, but not more often than this."""

KEYS_KEPT_SECONDS = 300.0
"""Keys are fetched anew after this time: one that its issuer no longer publishes is no longer trusted."""

MARGIN_SECONDS = 10.0
"""Credentials that run out sooner are stale: a cohort is verified, screened and reported within it."""

_log = logging.getLogger("ztfm.guard")


class Checkpoint:
    """One enforcement point's verifier.

    A proof may be as old as a capability can be: replies are often collected until the slowest has come, and what
    limits their use is the capability, its round, and that each proof passes once.

    Args:
        fetch_keys: returns the issuer's published key set.
        issuer: whose capabilities are accepted.
        audience: this enforcement point.
        clock: Unix seconds.
        standings: knows what was revoked; none lets every capability live to its end.
        segment: from which devices are taken; none for any.
        names: knows devices that have another key than their first; none for those alone that capabilities name.
        shards: the parts of the model that its rounds train, and members pull; none for all of it.
    """

    def __init__(
        self,
        fetch_keys: Callable[[], Mapping[str, Any]],
        issuer: str,
        audience: str,
        clock: Callable[[], float],
        standings: Standings | None = None,
        segment: str | None = None,
        names: Names | None = None,
        shards: Collection[str] | None = None,
    ) -> None:
        self._segment = segment
        self._shards = shards
        self._names = names or Names()
        self._fetch_keys = fetch_keys
        self._audience = audience
        self._clock = clock
        self._proofs = ProofVerifier(clock, max_age_seconds=float(MAX_LIFETIME_SECONDS))
        self._verifier = CapabilityVerifier(
            {"keys": []}, issuer, audience, clock, proofs=self._proofs, standings=standings
        )
        self._fetched_at: float | None = None
        self._came_at: float | None = None

    def identify(self, introduction: Introduction) -> str | Refused:
        """Return the subject that introduced itself, or why the introduction does not hold."""
        url = target(self._audience, "")
        verdict = self._proofs.verify(introduction.proof, method=IDENTIFY, url=url)
        if not isinstance(verdict, Proof):
            return verdict
        holding = self._names.holding(introduction.subject, verdict.key)
        if holding == "unknown":
            return Refused("revocations_unknown", "Whose key it is could not be asked now; no name is believed.")
        if holding == "another":
            return Refused("wrong_subject", "The name is not that of the key which signed the proof.")
        return introduction.subject

    def pull(self, credentials: Credentials, terms: RoundTerms, size_bytes: int) -> CapabilityClaims | Refused:
        """Return the claims of a pull that holds for a round's weights, so many bytes of them, or why it does not."""
        claims = self._verify(
            credentials, terms, method=PULL, action="model_access", model_digest=terms.model_digest, digest=None
        )
        if isinstance(claims, Refused):
            return claims
        limits = claims.detail.constraints
        if limits.purpose != "training":
            return Refused("wrong_action", "The capability is not for training.")
        if limits.model_digest is None:
            return Refused("wrong_digest", "The capability does not name the weights.")
        return exceeded(limits, size_bytes=size_bytes) or claims

    def submission(
        self, credentials: Credentials, terms: RoundTerms, digest: str, size_bytes: int, sealed_to: str | None = None
    ) -> CapabilityClaims | Refused:
        """Return the claims of a submission that holds for one update, and use it up; or why it does not hold.

        Args:
            credentials: that came with it.
            terms: of the round.
            digest: of the update.
            size_bytes: of its values.
            sealed_to: digest of the key of this aggregator that it was sealed to; none where it was not.
        """
        claims = self._verify(
            credentials,
            terms,
            method=SUBMIT,
            action="gradient_submission",
            model_digest=None,
            digest=digest,
            sealed_to=sealed_to,
        )
        if isinstance(claims, Refused):
            return claims
        if not claims.detail.constraints.one_time:
            return Refused("malformed", "A capability to submit must be for one use.")
        return exceeded(claims.detail.constraints, size_bytes=size_bytes) or claims

    def is_stale(self, credentials: Credentials) -> bool:
        """Whether a capability to submit has expired or is about to; false for one that does not hold anyway."""
        expires_at = read_expiry(credentials.capability)
        return expires_at is not None and expires_at - self._clock() < MARGIN_SECONDS

    def _verify(
        self,
        credentials: Credentials,
        terms: RoundTerms,
        *,
        method: str,
        action: str,
        model_digest: str | None,
        digest: str | None,
        sealed_to: str | None = None,
    ) -> CapabilityClaims | Refused:
        def verify() -> CapabilityClaims | Refused:
            return self._verifier.verify(
                credentials.capability,
                proof=credentials.proof or None,
                method=method,
                url=target(terms.audience, terms.round_id),
                action=action,
                resource_id=terms.model,
                round_id=terms.round_id,
                model_digest=model_digest,
                segment=self._segment,
                digest=digest,
                subject=credentials.subject,
                sealed_to=sealed_to,
                shards=self._shards,
            )

        self._refresh(KEYS_KEPT_SECONDS)
        if self._are_keys_lost() and not self._refresh(REFRESH_SECONDS):
            return Refused("unknown_key", "The issuer's keys could not be had for too long; none is trusted.")
        verdict = verify()
        if isinstance(verdict, Refused) and verdict.cause == "unknown_key" and self._refresh(REFRESH_SECONDS):
            verdict = verify()
        if not isinstance(verdict, Refused) and verdict.cnf.jkt is not None:
            self._names.learn(verdict.sub, verdict.cnf.jkt)
        return verdict

    def _are_keys_lost(self) -> bool:
        return self._came_at is None or not 0.0 <= self._clock() - self._came_at < TRUSTED_SECONDS

    def _refresh(self, older_than: float) -> bool:
        now = self._clock()
        if self._fetched_at is not None and 0.0 <= now - self._fetched_at < older_than:
            return False
        self._fetched_at = now
        try:
            self._verifier.update_keys(self._fetch_keys())
        except (ControlPlaneError, KeySetError) as error:
            _log.warning("the issuer's keys could not be had, those in use stay for a while: %s", error)
            return False
        self._came_at = now
        return True


def read_expiry(capability: str) -> float | None:
    """Return when a token says that it expires (Unix seconds), or none; nothing is verified."""
    token = parse(capability)
    try:
        expires_at = parse_object(token.payload).get("exp") if token else None
        if isinstance(expires_at, bool) or not isinstance(expires_at, (int, float)):
            return None
        return float(expires_at)
    except (ValueError, OverflowError, RecursionError):
        # A number of any length is JSON.
        return None
