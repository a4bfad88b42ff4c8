"""What proxies say when they ask whether a request may go on, and what they make of the answer."""

from adapters.gateway.dialects.envoy import ENVOY
from adapters.gateway.dialects.forwarded import CADDY, TRAEFIK
from adapters.gateway.dialects.original import HAPROXY, NGINX
from adapters.gateway.dialects.reading import Dialect, SubRequest

DIALECTS: dict[str, Dialect] = {one.name: one for one in (NGINX, CADDY, HAPROXY, ENVOY, TRAEFIK)}
"""By name."""

__all__ = ["DIALECTS", "Dialect", "SubRequest"]
