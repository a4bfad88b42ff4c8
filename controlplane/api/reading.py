"""Read a request: who sends it, and a body that fits its contract."""

import asyncio
import ipaddress
import json
from typing import Any, TypeVar

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.problems import invalid, problem, too_many, unauthenticated
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.proof import Proof, ProofVerifier, holder_of
from controlplane.contracts.base import StrictModel
from controlplane.contracts.identity import Device

Model = TypeVar("Model", bound=StrictModel)

BODY_SECONDS = 10.0
LARGE_BODY_BYTES = 128 * 1024


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """Return the body as ``model``.

    Raises:
        ProblemError: 415 for another media type or an encoded body, 408 for one that does not arrive, 400 for
            one that is no unambiguous JSON or does not fit; the fields that do not fit are named.
    """
    if request.content_type != "application/json":
        raise problem("unsupported-media-type", 415, "The body must be application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise problem("unsupported-media-type", 415, "The body must not be compressed")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise problem("timeout", 408, "The body did not arrive in time", headers={"Connection": "close"}) from None
    if len(raw) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(parse_body, raw, model)
    return parse_body(raw, model)


def parse_body(raw: bytes, model: type[Model]) -> Model:
    """Return a JSON document as ``model``.

    A repeated name is refused: two parsers could read the document differently (RFC 8259 section 4).

    Raises:
        ProblemError: 400.
    """
    try:
        document = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        detail = str(error) if isinstance(error, AmbiguousError) else "It is no JSON, or nested too deeply."
        raise problem("invalid-request", 400, "The body cannot be read", detail) from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error, document) from None


class AmbiguousError(ValueError):
    """JSON that not everybody reads alike."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AmbiguousError("A name is repeated within one object.")
    return found


def _no_constant(_name: str) -> None:
    raise AmbiguousError("NaN and Infinity are not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def address_of(request: web.Request) -> str:
    """Return the peer's address as this side sees it; forwarded headers are never believed."""
    address = (request.remote or "").partition("%")[0]
    return address or "0.0.0.0"  # noqa: S104 - "unknown", not a bind address


def neighbourhood(address: str) -> str:
    """Return whom strangers at ``address`` share their allowance with: an IPv6 host commands a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def prove(request: web.Request, verifier: ProofVerifier, key: str | None = None) -> Proof:
    """Return the verified key proof of a request.

    Args:
        request: what came.
        verifier: remembers the proofs that it saw.
        key: thumbprint of the key that must have signed; none for any.

    Raises:
        ProblemError: 401 without a fresh, unused proof for this method and URL; 429 for a stranger who insists.
    """
    services = request.app[SERVICES]
    header = _only_proof(request, services)
    url = services.public_url + request.rel_url.raw_path
    verdict = verifier.verify(header, method=request.method, url=url, thumbprint=key)
    if not isinstance(verdict, Proof):
        raise _stranger(request, services, verdict.cause)
    return verdict


async def authenticate(request: web.Request) -> Device:
    """Return the enrolled subject that sent the request (NIST SP 800-207, tenet 6).

    The key that the proof names is looked up before the proof is verified, so that only enrolled keys can take
    room among the remembered proofs, and each no more than its allowance.

    Raises:
        ProblemError: 401 when no enrolled key is proven, 429 when its holder asks too often.
    """
    services = request.app[SERVICES]
    named = holder_of(_only_proof(request, services))
    if named is None:
        raise _stranger(request, services, "proof_malformed")
    device = await services.registry.by_thumbprint(named[1])
    if device is None:
        raise _stranger(request, services, "unknown_key")
    wait = services.callers.wait(device.id)
    if wait:
        raise too_many(wait)
    prove(request, services.proofs, device.key_thumbprint)
    services.callers.take(device.id)
    return device


def _only_proof(request: web.Request, services: Services) -> str:
    header = request.headers.getall("DPoP", [])
    if len(header) != 1:
        raise _stranger(request, services, "proof_missing")
    return header[0]


def _stranger(request: web.Request, services: Services, cause: str) -> Exception:
    services.metrics.refused(cause)
    wait = services.strangers.take(neighbourhood(address_of(request)))
    return too_many(wait) if wait else unauthenticated(cause)
