"""Examine what a newcomer presents, and say it in facts for policy: an issuer's credential."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controlplane.contracts.facts.enrolment import MAX_CLAIMS, Claim, ClaimName, CredentialFact
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.documents import Resolution
from controlplane.identity.credentials.sdjwt import (
    CAUSES,
    CredentialInvalid,
    Issued,
    check_times,
    read_presentation,
    verify_binding,
    verify_issued,
)

_NAME: TypeAdapter[str] = TypeAdapter(ClaimName)
_CLAIM: TypeAdapter[Any] = TypeAdapter(Claim)
_SAID_ELSEWHERE = frozenset({"iss", "vct", "iat", "nbf", "exp", "cnf", "status"})

_UNSIGNED = CredentialFact(
    valid=False, cause="malformed", issuer="", vct="", claims={}, key_bound=False, status="unstated"
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A credential in facts, and in words.

    Attributes:
        fact: for policy.
        words: why it is not valid, for whoever presented it; empty when it is.
    """

    fact: CredentialFact
    words: str


class Credentials:
    """Examines presented credentials.

    Args:
        accepts: whether policy is interested in anything that an issuer says; asked before its keys are looked for.
        resolve: resolves the DIDs of issuers.
        use: marks a key binding as used until a time (Unix seconds); false when it was before, or may have been.
        clock: Unix seconds.
    """

    def __init__(
        self,
        accepts: Callable[[str], Awaitable[bool]],
        resolve: Callable[[str], Awaitable[Resolution]],
        use: Callable[[str, float], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._accepts = accepts
        self._resolve = resolve
        self._use = use
        self._clock = clock

    async def examine(self, text: str, holder: PublicKey, audiences: Collection[str]) -> Examined:
        """Return what a presentation says; one that holds is used up.

        Args:
            text: SD-JWT with disclosures and key binding.
            holder: the key that signed the request's own proof.
            audiences: what this control plane may be called.
        """
        fact = _UNSIGNED
        try:
            presented = read_presentation(text)
            issued = verify_issued(presented, await self._keys_of(presented.issuer))
            now = self._clock()
            fact = _fact(issued, now)
            check_times(issued, now)
            binding = verify_binding(presented, issued, holder, audiences, now)
            if not await self._use(binding.use_id, binding.until):
                raise CredentialInvalid("binding_replayed")
        except CredentialInvalid as invalid:
            known = fact.model_copy(update={"valid": False, "cause": invalid.cause, "key_bound": False})
            more = f" ({invalid.detail})" if invalid.detail else ""
            return Examined(known, CAUSES[invalid.cause] + more)
        return Examined(fact, "")

    async def _keys_of(self, issuer: str) -> list[PublicKey]:
        if not await self._accepts(issuer):
            raise CredentialInvalid("issuer_unaccepted")
        resolution = await self._resolve(issuer)
        if resolution.error is not None:
            raise CredentialInvalid("issuer_unresolved", resolution.error)
        return list(resolution.keys_for("assertionMethod").values())


def _fact(issued: Issued, now: float) -> CredentialFact:
    age = None if issued.issued_at is None else max(0.0, now - issued.issued_at)
    return CredentialFact(
        valid=True,
        cause="",
        issuer=issued.issuer,
        vct=issued.vct,
        claims=_short(issued.claims),
        key_bound=True,
        status="unknown" if "status" in issued.claims else "unstated",
        age_seconds=age,
        expires_at=issued.expires_at,
    )


def _short(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims that policy can read; what is long or of several parts is left out."""
    found = {}
    for name, value in claims.items():
        if name in _SAID_ELSEWHERE:
            continue
        try:
            found[_NAME.validate_python(name, strict=True)] = _CLAIM.validate_python(value, strict=True)
        except ValidationError:
            continue
    if len(found) > MAX_CLAIMS:
        raise CredentialInvalid("bad_disclosure", f"it has more than {MAX_CLAIMS} claims")
    return found
