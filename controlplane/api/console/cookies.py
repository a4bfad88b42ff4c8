"""The console's cookies: each for this host alone, out of reach of scripts, and over TLS wherever there is a network.

`__Host-` names (RFC 6265bis section 4.1.3) cannot be set by another host of the domain or over plain HTTP.
"""

from urllib.parse import urlsplit

from aiohttp import web

from controlplane.api.proving import base_url_of

SESSION = "ztfm"
SIGN_IN = "ztfm-sign-in"

MAX_COOKIE_CHARS = 4096
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def is_private(request: web.Request) -> bool:
    """Whether nobody on the way reads the cookies of whoever reaches us as this request did."""
    parts = urlsplit(base_url_of(request))
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def shown(request: web.Request, name: str) -> list[str]:
    """Return every value that a request shows for a cookie of ours; more than one counts as none that is believed."""
    found, own = [], _named(request, name)
    for header in request.headers.getall("Cookie", []):
        for pair in header.split(";"):
            key, separator, value = pair.strip().partition("=")
            if separator and key == own:
                found.append(value if len(value) <= MAX_COOKIE_CHARS else "")
    return found


def keep(request: web.Request, response: web.StreamResponse, name: str, value: str, seconds: float) -> None:
    """Have the browser keep a cookie for so long.

    The session's goes with requests of our own pages alone. The other one has to come back from the provider.
    """
    response.headers.add("Set-Cookie", _written(request, name, value, seconds))


def drop(request: web.Request, response: web.StreamResponse, name: str) -> None:
    """Have the browser forget a cookie."""
    response.headers.add("Set-Cookie", dropped(request, name))


def dropped(request: web.Request, name: str) -> str:
    """Return the value of ``Set-Cookie`` with which the browser forgets a cookie."""
    return _written(request, name, "", 0.0)


def _written(request: web.Request, name: str, value: str, seconds: float) -> str:
    same_site = "Strict" if name == SESSION else "Lax"
    parts = [f"{_named(request, name)}={value}", f"Max-Age={int(seconds)}", "Path=/", "HttpOnly"]
    return "; ".join([*parts, f"SameSite={same_site}", *(["Secure"] if _is_tls(request) else [])])


def _named(request: web.Request, name: str) -> str:
    return f"__Host-{name}" if _is_tls(request) else name


def _is_tls(request: web.Request) -> bool:
    return base_url_of(request).startswith("https://")
