"""Proxies that ask with headers of their own: Caddy's ``forward_auth`` and Traefik's ``ForwardAuth``."""

from typing import Final

from adapters.gateway.dialects.certificates import by_item
from adapters.gateway.dialects.reading import Dialect, SubRequest, only
from adapters.web.answering import Refusal


def forwarded(sub: SubRequest) -> tuple[str, str] | Refusal:
    """Return method and target out of ``X-Forwarded-Method`` and ``X-Forwarded-Uri``."""
    method, target = only(sub.headers, "x-forwarded-method"), only(sub.headers, "x-forwarded-uri")
    if isinstance(method, Refusal):
        return method
    return target if isinstance(target, Refusal) else (method, target)


CADDY: Final = Dialect("caddy", forwarded, by_item)
"""Caddy 2, which is told in its configuration to say how large the body is."""

TRAEFIK: Final = Dialect("traefik", forwarded, None, states_body=False)
"""Traefik 3.3 or later. Its headers know no variables, so that it says no lengths; it sends bodies along instead. It
keeps the header with the client's certificate to itself."""
