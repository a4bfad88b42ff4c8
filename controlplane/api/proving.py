"""A request's key proof (RFC 9449): for this method, under the URL by which it reached us, with the nonce it needs."""

from aiohttp import web

from controlplane.api.connections import link_of
from controlplane.api.services import SERVICES
from controlplane.capabilities.proof import NonceRule, Proof, ProofVerifier
from controlplane.capabilities.refusals import Refused

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


async def verify_proof(
    request: web.Request, verifier: ProofVerifier, key: str | None = None, access_token: str | None = None
) -> Proof | Refused:
    """Return the proof of a request, or why it does not hold; one that holds is used up, on all machines that share it.

    Args:
        request: what came.
        verifier: remembers the proofs that it saw.
        key: thumbprint of the key that must have signed; none for any.
        access_token: that the proof must go with.

    Raises:
        StoreUnavailable: who counts for all machines was not there to ask.
    """
    proof = only_proof(request)
    if proof is None:
        return Refused("proof_missing", "The request carries no proof, or more than one.")
    found = verifier.verify(
        proof,
        method=request.method,
        url=base_url_of(request) + request.rel_url.raw_path,
        access_token=access_token,
        nonces=_nonce_rule(request),
        thumbprint=key,
    )
    return await verifier.verify_everywhere(found)


def base_url_of(request: web.Request) -> str:
    """Return the URL under which a request reached us, which its proof must name: that of TLS, or the public one."""
    services = request.app[SERVICES]
    return (link_of(request).is_tls and services.access.tls_url) or services.public_url


async def offer_nonce(request: web.Request, response: web.StreamResponse) -> None:
    """Tell those who send proofs which nonce to use next (RFC 9449 section 8.2)."""
    services = request.app.get(SERVICES)
    if services is None or services.proving.nonce_mode == "off":
        return
    if "DPoP" in request.headers or request.path == TOKEN_PATH:
        response.headers["DPoP-Nonce"] = services.proving.nonces.current()


def _nonce_rule(request: web.Request) -> NonceRule | None:
    services = request.app[SERVICES]
    if services.proving.nonce_mode == "off":
        return None
    if services.proving.nonce_mode == "always" or request.path == TOKEN_PATH:
        return services.proving.nonces.examine
    return lambda presented: None if presented is None else services.proving.nonces.examine(presented)


def only_proof(request: web.Request) -> str | None:
    """Return the one proof that a request carries, or none."""
    header = request.headers.getall("DPoP", [])
    return header[0] if len(header) == 1 else None
