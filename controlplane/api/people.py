"""Who administers: people, by a token of their identity provider, whoever is signed in to the console, and devices.

Of these, devices alone are known anywhere else.
"""

from typing import get_args

from aiohttp import web

from controlplane.api.authentication import Unproven, authenticate, scheme_of, stranger
from controlplane.api.console import sessions
from controlplane.api.problems import too_many, unavailable
from controlplane.api.services import SERVICES
from controlplane.contracts.identity import Caller, Person
from controlplane.identity.people import PersonCause, Unknown
from controlplane.identity.provider import ProviderUnavailable

PERSON_CAUSES: tuple[str, ...] = get_args(PersonCause)
"""Why a person's token may not hold, beside the causes of keys and capabilities."""


async def authenticate_administrator(request: web.Request) -> Caller:
    """Return who asks to administer: a device or service as `authenticate` knows it, a person, or who is signed in.

    What either may do, policy says.

    Raises:
        ProblemError: 401 when nothing that holds is shown; 429 when a caller asks too often, or a stranger insists; 503
            when a person's provider cannot be asked.
    """
    services = request.app[SERVICES]
    if sessions.is_presented(request):
        return await sessions.authenticate_session(request)
    if scheme_of(request) != "bearer" or services.access.people is None:
        return await authenticate(request)
    if "DPoP" in request.headers:
        raise await stranger(request, Unproven("two_credentials"))
    token = request.headers["Authorization"].partition(" ")[2].strip()
    try:
        found = await services.access.people.identify(token)
    except ProviderUnavailable:
        services.metrics.edge.authentications.labels("person", "refused").inc()
        raise unavailable("The identity provider's keys cannot be had, so nobody's token can be verified.") from None
    services.metrics.edge.authentications.labels("person", "refused" if isinstance(found, Unknown) else "ok").inc()
    if isinstance(found, Unknown):
        raise await stranger(request, Unproven(found.cause, "invalid_token"))
    return await _bounded(request, found)


async def _bounded(request: web.Request, person: Person) -> Person:
    wait = await request.app[SERVICES].limits.callers.take(person.id)
    if wait:
        raise too_many(wait)
    return person
