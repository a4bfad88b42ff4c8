"""Verify capabilities offline, with the issuer's published keys alone (RFC 9068 section 4, RFC 9449 section 7)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError

from controlplane.capabilities.fitting import misplaced, misused, uncertified
from controlplane.capabilities.issued import open_issued
from controlplane.capabilities.keyset import read_keys
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.refusals import Cause, Refused
from controlplane.capabilities.replay import ReplayCache, Uses
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.verified import Keys, VerifiedTokens
from controlplane.contracts.base import is_identifier
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS, CapabilityClaims
from controlplane.jose.jws import parse_object, read_header

REMEMBERED = 4096
"""Capabilities whose verified signature is remembered."""

_SHOWN = 64

_CONSTRAINTS = ("authorization_details", 0, "constraints")

_DETAILS: dict[Cause, str] = {
    "malformed": "The capability is not an at+jwt with ES256 and the claims of a capability.",
    "unknown_key": "The capability was signed with a key that the issuer does not publish.",
    "bad_signature": "The capability's signature does not hold.",
    "expired": "The capability has expired; ask for a new one.",
    "not_yet_valid": "The capability is from the future; compare the clocks.",
    "wrong_issuer": "The capability is another issuer's.",
    "wrong_audience": "The capability is for another enforcement point.",
    "wrong_subject": "The capability is another subject's.",
    "wrong_action": "The capability is for another action.",
    "wrong_resource": "The capability is for another resource.",
    "wrong_round": "The capability is for another round.",
    "wrong_digest": "The capability is for other weights.",
    "wrong_segment": "The capability is for another segment.",
    "not_sealed": "What the capability is for comes sealed to the aggregator's attested key, and this did not.",
    "wrong_shards": "The capability is for other parts of the weights than are handed out here.",
    "replayed": "The capability may be used once, and was.",
    "proof_missing": "A capability holds only together with a proof of its key.",
    "certificate_missing": "The capability holds only over a TLS connection that is made with its client certificate.",
    "wrong_certificate": "The capability is bound to another client certificate.",
    "unknown_constraint": "The capability has a limit that this verifier does not know.",
    "revoked": "The capability was revoked; ask for a new one, if you may still have one.",
    "revocations_unknown": "Nothing has been heard of revocations for too long; no capability is trusted meanwhile.",
}


class CapabilityVerifier:
    """What an enforcement point asks about a capability.

    Args:
        jwks: the issuer's published key set.
        issuer: whose capabilities are accepted.
        audience: this enforcement point; none for the issuer itself, which inspects those of every point and
            verifies none.
        clock: Unix seconds.
        replay: remembers one-time capabilities; none for one of its own.
        proofs: verifies key proofs; none for one of its own.
        leeway_seconds: how far the issuer's clock may be ahead. Nothing is accepted after its expiry.
        remembered: capabilities whose verified signature is remembered, so that one which is presented again costs
            half; 0 for none.
        standings: knows what was revoked; none for a point that lets every capability live to its end.

    Raises:
        KeySetError: the key set cannot be used.
        ValueError: the audience can be the name of no enforcement point.
    """

    def __init__(
        self,
        jwks: Mapping[str, Any],
        issuer: str,
        audience: str | None,
        clock: Callable[[], float],
        replay: Uses | None = None,
        *,
        proofs: ProofVerifier | None = None,
        leeway_seconds: float = 5.0,
        remembered: int = REMEMBERED,
        standings: Standings | None = None,
    ) -> None:
        if audience is not None and not is_identifier(audience):
            # No capability can be for it: a point of that name would refuse everybody, and say that they are wrong.
            raise ValueError(
                f"audience: {audience[:_SHOWN]!r} can name no enforcement point; give 1 to 128 letters, digits and "
                "._:/@+-, a letter or a digit first, as those have it who ask for capabilities: aggregator-1"
            )
        self._keys = read_keys(jwks)
        self._standings = standings
        self._verified = VerifiedTokens(remembered)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        # An empty cache is false, and still the one that others share.
        self._replay: Uses = ReplayCache(clock) if replay is None else replay
        self._proofs = ProofVerifier(clock) if proofs is None else proofs
        self._leeway = leeway_seconds

    def update_keys(self, jwks: Mapping[str, Any]) -> None:
        """Trust the keys of ``jwks`` and no others from now on.

        Raises:
            KeySetError: the set cannot be used; the keys in use stay.
        """
        keys = read_keys(jwks)
        if keys != self._keys:
            # What the former keys verified is not found under the new ones.
            self._keys = keys

    def verify(
        self,
        token: str,
        *,
        proof: str | None,
        method: str,
        url: str,
        action: str,
        resource_id: str | None = None,
        round_id: str | None = None,
        model_digest: str | None = None,
        segment: str | None = None,
        digest: str | None = None,
        nonce: str | None = None,
        subject: str | None = None,
        certificate: str | None = None,
        sealed_to: str | None = None,
        shards: Collection[str] | None = None,
    ) -> CapabilityClaims | Refused:
        """Return the claims of a capability that holds here and now, with its proof or certificate.

        A one-time one is used up. The limits on purpose, output tokens and detail are in the claims, for the caller to
        keep.

        Args:
            token: the capability.
            proof: the DPoP proof that came with it.
            method: of the request, or the word of another transport.
            url: target of the request.
            action: what is being done.
            resource_id: to which resource; none leaves that to the caller.
            round_id: in which round. A capability for a round holds in that round alone, and a point that
                names a round accepts only capabilities for it.
            model_digest: of the weights that are served; compared when the capability is limited to some.
            segment: from which segment the request comes, where the point knows; it then accepts only capabilities
                for that one.
            digest: of the update that came along; the proof must bear it.
            nonce: that the proof must bear.
            subject: whose capability it must be; none when the key alone says who.
            certificate: thumbprint of the client certificate of the TLS connection that the capability came over
                (`capabilities.certificates`); none without one.
            sealed_to: digest of the key of this point that what came along was sealed to; none where it was not.
            shards: the parts of the weights that this point hands out for it; none for all of them, for which a
                capability that names parts does not hold. A point that picks the parts by the claims says that by
                itself it hands out none.
        """
        claims = self.inspect(
            token,
            subject=subject,
            action=action,
            resource_id=resource_id,
            round_id=round_id,
            model_digest=model_digest,
            segment=segment,
        )
        if isinstance(claims, Refused):
            return claims
        cause = "wrong_audience" if self._audience is None else misplaced(claims, sealed_to, shards)
        if cause:
            return _refused(cause)
        if claims.cnf.jkt is None:
            cause = uncertified(claims, certificate)
            return _refused(cause) if cause else self._use_up(claims)
        if proof is None:
            return _refused("proof_missing")
        shown = self._proofs.verify(
            proof, method=method, url=url, access_token=token, nonce=nonce, digest=digest, thumbprint=claims.cnf.jkt
        )
        return shown if isinstance(shown, Refused) else self._use_up(claims)

    def _use_up(self, claims: CapabilityClaims) -> CapabilityClaims | Refused:
        if claims.detail.constraints.one_time and self._replay.use(claims.jti, claims.exp) != "first":
            return _refused("replayed")
        return claims

    def inspect(
        self,
        token: str,
        *,
        action: str,
        subject: str | None = None,
        resource_id: str | None = None,
        round_id: str | None = None,
        model_digest: str | None = None,
        segment: str | None = None,
    ) -> CapabilityClaims | Refused:
        """Return the claims of a capability that holds, without asking for a proof and without using it up.

        For the control plane, which counts uses in the store and trusts the point that saw the proof. The
        arguments are those of `verify`.
        """
        read = self._read(token)
        if isinstance(read, Refused):
            return read
        cause = self._untimely(read) or self._misaddressed(read, subject)
        cause = cause or misused(read, action, resource_id, round_id, model_digest)
        if cause is None and segment not in (None, read.detail.constraints.segment):
            cause = "wrong_segment"
        cause = cause or self._revoked(read, token)
        return _refused(cause) if cause else read

    def recognise(self, token: str) -> CapabilityClaims | Refused:
        """Return the claims of a capability that holds, for whatever; for those who ask about one, not with one."""
        read = self._read(token)
        if isinstance(read, Refused):
            return read
        cause = self._untimely(read) or self._misaddressed(read, None) or self._revoked(read, token)
        return _refused(cause) if cause else read

    def _read(self, token: str) -> CapabilityClaims | Refused:
        keys = self._keys
        known = self._verified.find(token, keys)
        if known is not None:
            return known
        read = self._verify_signed(token, keys)
        if not isinstance(read, Refused):
            self._verified.keep(token, keys, read, self._clock())
        return read

    def _verify_signed(self, token: str, keys: Keys) -> CapabilityClaims | Refused:
        opened = open_issued(token, keys.get)
        if isinstance(opened, str):
            return _refused(opened)
        try:
            return CapabilityClaims.model_validate(parse_object(opened.payload))
        except ValidationError as error:
            return _refused(_unfit(error))
        except (ValueError, RecursionError):
            return _refused("malformed")

    def _revoked(self, claims: CapabilityClaims, token: str) -> Cause | None:
        if self._standings is None:
            return None
        standing = self._standings.standing(claims, read_header(token)["kid"])
        if standing == "good":
            return None
        return "revoked" if standing == "revoked" else "revocations_unknown"

    def _untimely(self, claims: CapabilityClaims) -> Cause | None:
        if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_SECONDS:
            return "malformed"
        now = self._clock()
        if now >= claims.exp:
            return "expired"
        return None if claims.iat <= now + self._leeway else "not_yet_valid"

    def _misaddressed(self, claims: CapabilityClaims, subject: str | None) -> Cause | None:
        if claims.iss != self._issuer:
            return "wrong_issuer"
        if self._audience is not None and claims.aud != self._audience:
            return "wrong_audience"
        if claims.client_id != claims.sub or subject not in (None, claims.sub):
            return "wrong_subject"
        return None


def _unfit(error: ValidationError) -> Cause:
    is_unknown = any(
        item["type"] == "extra_forbidden" and item["loc"][:3] == _CONSTRAINTS
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    )
    return "unknown_constraint" if is_unknown else "malformed"


def _refused(cause: Cause) -> Refused:
    return Refused(cause, _DETAILS[cause])
