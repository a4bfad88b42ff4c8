"""Who asks: the one place that says so, by exactly one method per request (NIST SP 800-207, tenet 6).

A method is a way to present who one is. Each returns the enrolled subject that it found, or a refusal with its
cause; the cause goes to our logs and metrics, the caller learns 401. What the subject may do, policy says.
"""

import secrets
from dataclasses import dataclass
from typing import Literal, Protocol

from aiohttp import web

from controlplane.api.connections import link_of
from controlplane.api.problems import too_many, unauthenticated
from controlplane.api.proving import base_url_of, only_proof, verify_proof
from controlplane.api.reading import address_of, neighbourhood
from controlplane.api.services import SERVICES
from controlplane.capabilities.nonces import NONCE_CAUSES
from controlplane.capabilities.proof import Proof, ProofVerifier, holder_of
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import Confirmation
from controlplane.contracts.identity import Device

ChallengeError = Literal["", "invalid_token", "invalid_dpop_proof", "use_dpop_nonce"]
"""What a challenge says beside 401 (RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9); empty for nothing."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An enrolled subject, and how it is known.

    Attributes:
        device: the subject as the registry has it now.
        confirmation: what a token for it is bound to: the key or the certificate of this request.
    """

    device: Device
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class Unproven:
    """A request that does not prove who sends it.

    Attributes:
        cause: for logs and metrics.
        error: what the challenge says.
    """

    cause: str
    error: ChallengeError = ""


class Method(Protocol):
    """One way to present who one is."""

    @property
    def name(self) -> str:
        """Its name in metrics."""
        ...

    @property
    def scheme(self) -> str:
        """The scheme of the ``Authorization`` header that it reads, in lower case; empty for none."""
        ...

    def is_presented(self, request: web.Request) -> bool:
        """Whether the request presents something of this kind; nothing is verified."""
        ...

    async def authenticate(self, request: web.Request) -> Authenticated | Unproven:
        """Return the subject that the request proves.

        Raises:
            ProblemError: 429 when it asks too often.
        """
        ...


class KeyProof:
    """A bare DPoP proof by the enrolled key: the key itself is the credential."""

    name = "proof"
    scheme = ""

    def is_presented(self, request: web.Request) -> bool:
        """Whether there is a proof that goes with no access token."""
        return "DPoP" in request.headers and scheme_of(request) != AccessToken.scheme

    async def authenticate(self, request: web.Request) -> Authenticated | Unproven:
        """Return the holder of the key that signed the proof."""
        services = request.app[SERVICES]
        device = await _holder(request)
        if isinstance(device, Unproven):
            return device
        verdict = await verify_proof(request, services.proving.proofs, device.key_thumbprint)
        if isinstance(verdict, Refused):
            return await _unproven(request, verdict, device)
        await _admit(request, device)
        return Authenticated(device, Confirmation(jkt=device.key_thumbprint))


class AccessToken:
    """An access token for this API with a proof that bears its hash (RFC 9449 section 7)."""

    name = "access_token"
    scheme = "dpop"

    def is_presented(self, request: web.Request) -> bool:
        """Whether the ``Authorization`` header holds such a token."""
        return scheme_of(request) == self.scheme

    async def authenticate(self, request: web.Request) -> Authenticated | Unproven:
        """Return the subject of the token. Whatever else the token says of it is read from the registry, now."""
        services = request.app[SERVICES]
        token = request.headers["Authorization"].partition(" ")[2].strip()
        device = await _holder(request)
        if isinstance(device, Unproven):
            return device
        claims = services.capabilities.access_tokens.verify(token)
        if isinstance(claims, Refused):
            return Unproven(claims.cause, "invalid_token")
        if claims.sub != device.id:
            return Unproven("wrong_subject", "invalid_token")
        if claims.cnf.jkt != device.key_thumbprint:
            return Unproven("wrong_key", "invalid_token")
        verdict = await verify_proof(request, services.proving.proofs, device.key_thumbprint, token)
        if isinstance(verdict, Refused):
            return await _unproven(request, verdict, device, "invalid_dpop_proof")
        await _admit(request, device)
        return Authenticated(device, claims.cnf)


class ClientCertificate:
    """A TLS connection that was made with the enrolled key: nothing else need be shown (RFC 8705)."""

    name = "certificate"
    scheme = ""

    def is_presented(self, request: web.Request) -> bool:
        """Whether there is a certificate, and nothing that speaks for itself beside it."""
        link = link_of(request)
        return link.has_certificate and "DPoP" not in request.headers and not scheme_of(request)

    async def authenticate(self, request: web.Request) -> Authenticated | Unproven:
        """Return the holder of the certificate's key. The handshake proved the key; here it is looked up, now."""
        services = request.app[SERVICES]
        certificate = link_of(request).certificate
        if certificate is None:
            return Unproven("unknown_key")
        if certificate.expires_at <= services.clock():
            return Unproven("certificate_expired")
        device = await services.registry.by_thumbprint(certificate.key_thumbprint)
        if device is None:
            return Unproven("unknown_key")
        await _admit(request, device)
        return Authenticated(device, Confirmation(x5t=certificate.thumbprint))


METHODS: tuple[Method, ...] = (KeyProof(), AccessToken(), ClientCertificate())
"""Every method there is; a request presents exactly one."""

_SCHEMES = frozenset({"", *(method.scheme for method in METHODS)})


async def identify(request: web.Request) -> Authenticated:
    """Return who sent the request.

    Raises:
        ProblemError: 401 when no method, or more than one, is presented, or what is presented does not hold; 429 when
            a subject asks too often, or a stranger insists.
    """
    presented = [method for method in METHODS if method.is_presented(request)]
    found: Authenticated | Unproven
    if scheme_of(request) not in _SCHEMES:
        found = Unproven("unknown_scheme")
    elif len(presented) > 1:
        found = Unproven("two_credentials")
    elif not presented:
        found = Unproven("proof_missing")
    else:
        found = await presented[0].authenticate(request)
    services = request.app[SERVICES]
    name = presented[0].name if len(presented) == 1 else "none"
    services.metrics.edge.authentications.labels(name, "refused" if isinstance(found, Unproven) else "ok").inc()
    if isinstance(found, Unproven):
        raise await stranger(request, found)
    return found


async def authenticate(request: web.Request) -> Device:
    """Return the enrolled subject that sent the request; how it is known makes no difference.

    Raises:
        ProblemError: as `identify`.
    """
    return (await identify(request)).device


async def as_known_now(request: web.Request, device: Device) -> Device:
    """Return an authenticated subject as the registry has it now.

    Whoever sends a body slowly is authenticated long before anything is decided, and may be shut out in between; so
    everything that decides looks again.

    Raises:
        ProblemError: 401 when there is no such subject any more.
    """
    services = request.app[SERVICES]
    found = await services.registry.get(device.id)
    if found is None or found.key_thumbprint != device.key_thumbprint:
        raise await stranger(request, Unproven("unknown_key"))
    return found


async def prove(request: web.Request, verifier: ProofVerifier) -> Proof:
    """Return the verified proof of a key that need not be enrolled.

    Args:
        request: what came.
        verifier: remembers the proofs that it saw.

    Raises:
        ProblemError: 401 without a fresh, unused proof for this method and URL; 429 for a stranger who insists.
    """
    if scheme_of(request):
        raise await stranger(request, Unproven("two_credentials"))
    verdict = await verify_proof(request, verifier)
    if isinstance(verdict, Refused):
        raise await stranger(request, await _unproven(request, verdict))
    return verdict


async def stranger(request: web.Request, found: Unproven) -> Exception:
    """Return the error for a request that does not prove who sends it, and count its cause."""
    services = request.app[SERVICES]
    services.metrics.capabilities.refused(found.cause)
    is_proven = found.error == "use_dpop_nonce"
    wait = 0.0 if is_proven else await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        return too_many(wait)
    return unauthenticated(found.cause, challenge(services.public_url, found.error), base_url_of(request))


def challenge(issuer: str, error: ChallengeError = "") -> str:
    """Return the ``WWW-Authenticate`` value (RFC 9449 section 7.1, RFC 9728 section 5.1)."""
    stated = [f'error="{error}"'] if error else []
    metadata = f"{issuer}/.well-known/oauth-protected-resource"
    return "DPoP " + ", ".join([*stated, 'algs="ES256"', f'resource_metadata="{metadata}"'])


def bears_token(request: web.Request, token: str, name: str) -> bool:
    """Whether the request bears a token of a file, and nothing else that says who sends it.

    Args:
        request: what came.
        token: the secret.
        name: of the method in metrics, where it is the one; what else comes is the caller's to count.
    """
    shown = request.headers.getall("Authorization", [])
    is_it = len(shown) == 1 and secrets.compare_digest(shown[0].encode(errors="replace"), f"Bearer {token}".encode())
    if is_it:
        request.app[SERVICES].metrics.edge.authentications.labels(name, "ok").inc()
    return is_it


def scheme_of(request: web.Request) -> str:
    """Return the scheme of the ``Authorization`` header in lower case; empty without one, ``several`` with more."""
    values = request.headers.getall("Authorization", [])
    if len(values) > 1:
        return "several"
    return values[0].partition(" ")[0].lower() or "none" if values else ""


async def _holder(request: web.Request) -> Device | Unproven:
    """Return the subject whose key the proof names; nothing is proven yet.

    It is looked up before anything is verified, so that only enrolled keys can take room among the remembered
    proofs, and each no more than its allowance.
    """
    services = request.app[SERVICES]
    proof = only_proof(request)
    named = holder_of(proof) if proof is not None else None
    if named is None:
        return Unproven("proof_missing" if proof is None else "proof_malformed")
    device = await services.registry.by_thumbprint(named[1])
    if device is None:
        return Unproven("unknown_key")
    wait = services.limits.callers.wait(device.id)
    if wait:
        raise too_many(wait)
    return device


async def _admit(request: web.Request, device: Device) -> None:
    """Take what the request costs from the allowance of who sent it, which others may have emptied meanwhile.

    Raises:
        ProblemError: 429.
    """
    wait = await request.app[SERVICES].limits.callers.take(device.id)
    if wait:
        raise too_many(wait)


async def _unproven(
    request: web.Request, verdict: Refused, device: Device | None = None, error: ChallengeError = ""
) -> Unproven:
    if verdict.cause not in NONCE_CAUSES:
        return Unproven(verdict.cause, error)
    if device is not None:
        # It proved its key and lacks the nonce alone, so it pays from its own allowance and not from its network's.
        await request.app[SERVICES].limits.callers.take(device.id)
    return Unproven(verdict.cause, "use_dpop_nonce")
