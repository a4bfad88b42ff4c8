"""Read a request: who sends it, and a body that fits its contract."""

from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.problems import invalid, problem, too_many, unauthenticated
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.proof import Proof
from controlplane.contracts.base import StrictModel
from controlplane.contracts.identity import Device

Model = TypeVar("Model", bound=StrictModel)


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """Return the body as ``model``.

    Raises:
        ProblemError: 415 for another media type, 400 that names the fields that do not fit.
    """
    if request.content_type != "application/json":
        raise problem("unsupported-media-type", 415, "The body must be application/json")
    raw = await request.read()
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from None


def address_of(request: web.Request) -> str:
    """Return the peer's address as this side sees it; forwarded headers are never believed."""
    return request.remote or "0.0.0.0"  # noqa: S104 - "unknown", not a bind address


def prove(request: web.Request) -> Proof:
    """Return the verified key proof of a request.

    Raises:
        ProblemError: 401 without a fresh, unused proof for this method and URL; 429 for a stranger who insists.
    """
    services = request.app[SERVICES]
    header = request.headers.getall("DPoP", [])
    if len(header) != 1:
        raise _stranger(request, services, "proof_missing")
    verdict = services.proofs.verify(header[0], method=request.method, url=services.public_url + request.path)
    if not isinstance(verdict, Proof):
        raise _stranger(request, services, verdict.cause)
    return verdict


async def authenticate(request: web.Request) -> Device:
    """Return the enrolled subject that sent the request (NIST SP 800-207, tenet 6).

    Raises:
        ProblemError: 401 when no enrolled key is proven, 429 when its holder asks too often.
    """
    services = request.app[SERVICES]
    proof = prove(request)
    device = await services.registry.by_thumbprint(proof.thumbprint)
    if device is None:
        raise _stranger(request, services, "unknown_key")
    wait = services.callers.take(device.id)
    if wait:
        raise too_many(wait)
    return device


def _stranger(request: web.Request, services: Services, cause: str) -> Exception:
    services.metrics.capabilities_refused.labels(services.metrics.bounded(cause)).inc()
    wait = services.strangers.take(address_of(request))
    return too_many(wait) if wait else unauthenticated(cause)
