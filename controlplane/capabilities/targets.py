"""The target of a proof in one spelling (RFC 9449 section 4.3, RFC 3986 section 6.2)."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_MAX_CHARS = 2048


@lru_cache(maxsize=1024)
def normal_target(url: str) -> str | None:
    """Return ``url`` without query and fragment, host and scheme in lower case, default port left out.

    Only the escapes of unreserved characters are resolved, so an escaped slash stays another path than a
    slash. None when it is no absolute URL or URN in
    printable ASCII, names a user, or is longer than 2048 characters.
    """
    if len(url) > _MAX_CHARS or not _PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not parts.scheme or "@" in parts.netloc:
        return None
    path = _ESCAPE.sub(_resolve, parts.path) if "%" in parts.path else parts.path
    if not parts.netloc:
        return f"{parts.scheme}:{path}" if path else None
    host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "\0"))
    return f"{parts.scheme}://{host}{path or '/'}"


def _resolve(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()
