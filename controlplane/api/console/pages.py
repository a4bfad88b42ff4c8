"""``/console``: the page, served from memory. No path of a request ever becomes one of a file.

Whatever is no file of the build is the page itself: where it leads, the page's own routes say.
"""

import gzip
import hashlib
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from controlplane.api.problems import not_found

INDEX = "index.html"
ASSETS = "assets/"
NONCE = b"__NONCE__"

_FOR_EVER = "public, max-age=31536000, immutable"
"""Of what bears a digest of its content in its name."""

_LOOKED_AT_AGAIN = "no-cache"
_SMALLEST_PACKED = 512

_ALONE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
_CLOSED = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the build.

    Attributes:
        body: as it is.
        packed: the same, compressed; none where that saves nothing.
        media_type: of it.
        tag: its entity tag.
        cache: what caches are told.
    """

    body: bytes
    packed: bytes | None
    media_type: str
    tag: str
    cache: str


@lru_cache(maxsize=1)
def built() -> Mapping[str, File]:
    """Return the files of the build by their path; none where there is no build."""
    folder = files("controlplane.api.console").joinpath("built")
    return dict(_read(folder, "")) if folder.is_dir() else {}


def policy(nonce: str) -> str:
    """Return the page's content security policy: our own files, our own API, styles that bear the nonce, nothing else.

    Args:
        nonce: of this one answer; the editor's styles bear it.
    """
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


async def console_page(request: web.Request) -> web.Response:
    """The console."""
    path = request.match_info.get("path", "")
    found = built()
    if path != INDEX and path in found:
        return _file(request, found[path])
    if INDEX not in found or path.startswith(ASSETS):
        raise not_found("file of the console")
    return _page(found[INDEX])


async def to_console(_request: web.Request) -> web.Response:
    """The console, where its address lacks the last slash."""
    return web.Response(status=308, headers={"Location": "/console/"})


def add_pages(app: web.Application) -> None:
    """Serve the console."""
    app.router.add_get("/console", to_console)
    app.router.add_get("/console/{path:.*}", console_page)


def _page(index: File) -> web.Response:
    nonce = secrets.token_urlsafe(16)
    headers = {**_CLOSED, "Content-Security-Policy": policy(nonce), "Cache-Control": "no-store"}
    body = index.body.replace(NONCE, nonce.encode())
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


def _file(request: web.Request, file: File) -> web.Response:
    headers = {**_CLOSED, "Cache-Control": file.cache, "ETag": file.tag, "Vary": "Accept-Encoding"}
    # A picture that is opened by itself is a document too.
    headers["Content-Security-Policy"] = _ALONE
    if file.tag in [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]:
        return web.Response(status=304, headers=headers)
    body = file.body
    if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body, headers["Content-Encoding"] = file.packed, "gzip"
    return web.Response(body=body, content_type=file.media_type, headers=headers)


def _read(folder: Traversable, path: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = path + one.name
        found += _read(one, name + "/") if one.is_dir() else [(name, _kept(name, one.read_bytes()))]
    return found


def _kept(name: str, body: bytes) -> File:
    media_type = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    packed = gzip.compress(body, mtime=0) if len(body) >= _SMALLEST_PACKED else None
    return File(
        body=body,
        packed=packed if packed is not None and len(packed) < len(body) else None,
        media_type=media_type or "application/octet-stream",
        tag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        cache=_FOR_EVER if name.startswith(ASSETS) else _LOOKED_AT_AGAIN,
    )
