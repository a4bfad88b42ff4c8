"""``/v1/identifiers/{did}`` and ``/.well-known/did.json``: what identifiers stand for, ours and others'."""

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import is_identifier
from controlplane.identifiers.dids import MAX_DID_CHARS
from controlplane.identifiers.documents import MEDIA_TYPE, DidDocument, Resolution, organisation_document
from controlplane.identity.resolving.devices import named_device, resolve_name

MAX_AGE_SECONDS = 60
"""How long the organisation's document may be kept: as long as the key set."""


async def resolve_identifier(request: web.Request) -> web.Response:
    """What a DID, or a device's registered name, stands for (W3C DID Resolution).

    A percent sign in the DID is percent-encoded: `did:web:a.example%3A8443` is asked for as
    `did:web:a.example%253A8443`. An identifier that does not resolve is answered too, with 200 and the reason in
    `didResolutionMetadata.error`; only organisations that the operator named are asked about over the network.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = request.match_info["did"]
    if len(name) > MAX_DID_CHARS:
        raise not_found("identifier")
    device = await named_device(name, services.registry)
    owner = None if device is None else device.id
    await administer(request, caller, "identity:resolve", "identifier", _subject_of(name), owner)
    return reply(await resolve_name(name, device, services.identity.resolver, services.clock))


async def organisation(request: web.Request) -> web.Response:
    """The document of the organisation that this control plane speaks for, where its DID is a `did:web`.

    Its key vouches for devices and signs the organisation's records.
    """
    found = request.app[SERVICES].identity.organisation
    if found is None or not found.did.startswith("did:web:"):
        raise not_found("document of an organisation here")
    response = reply(organisation_document(found.did, found.public), media_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = f"max-age={MAX_AGE_SECONDS}"
    return response


def _subject_of(name: str) -> str:
    """Return what a decision calls it: names know no percent sign, and DIDs no plus, so it has that instead."""
    named = name.replace("%", "+")
    return named if is_identifier(named) else "malformed"


ROUTES = (
    Route(
        "GET",
        "/v1/identifiers/{did}",
        resolve_identifier,
        "Resolve a DID, or a device's name",
        replies={200: Resolution},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/.well-known/did.json",
        organisation,
        "The document of the organisation that this control plane speaks for (did:web)",
        replies={200: DidDocument},
        problems=(404,),
        media_type=MEDIA_TYPE,
    ),
)
