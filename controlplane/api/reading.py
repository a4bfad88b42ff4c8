"""Read a request: where it comes from, and a body that fits its contract."""

import asyncio
import ipaddress
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from controlplane.api.connections import link_of
from controlplane.api.problems import ProblemError, invalid, problem
from controlplane.contracts.base import StrictModel
from controlplane.contracts.unambiguous import AmbiguousError, TooDeepError, read_json

Model = TypeVar("Model", bound=StrictModel)

BODY_SECONDS = 10.0
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of what lists many things: a round's members, a cohort's updates, a batch of questions."""

LARGE_BODY_BYTES = 128 * 1024
"""Of everything else, so that whoever holds one device's key cannot fill our memory with slow bodies."""

_WHOLE: web.RequestKey[bytes] = web.RequestKey("whole", bytes)


async def read_body(request: web.Request, model: type[Model], most_bytes: int = LARGE_BODY_BYTES) -> Model:
    """Return the body as ``model``.

    Args:
        request: what came.
        model: its contract.
        most_bytes: that are read.

    Raises:
        ProblemError: 415 for another media type or an encoded body, 413 for one that is larger, 408 for one that does
            not arrive, 400 for one that breaks off, is no unambiguous JSON or does not fit; the
            fields that do not fit are named.
    """
    if request.content_type != "application/json":
        raise problem("unsupported-media-type", 415, "The body must be application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise problem("unsupported-media-type", 415, "The body must not be compressed")
    raw = request[_WHOLE] = await _whole_body(request, most_bytes, BODY_SECONDS)
    if len(raw) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(parse_body, raw, model)
    return parse_body(raw, model)


async def read_bytes(request: web.Request, media_type: str, most_bytes: int, within: float) -> bytes:
    """Return the body as it is.

    Args:
        request: what came.
        media_type: that it must be of.
        most_bytes: that are read.
        within: seconds in which it must arrive.

    Raises:
        ProblemError: 415 for another media type or an encoded body, 413 for one that is larger, 408 for one that does
            not arrive.
    """
    if request.content_type != media_type or request.headers.get("Content-Encoding", "identity") != "identity":
        raise problem("unsupported-media-type", 415, f"The body must be {media_type}, and not encoded")
    return await _whole_body(request, most_bytes, within)


def body_of(request: web.Request) -> bytes:
    """Return the bytes of the body that `read_body` has read."""
    return request[_WHOLE]


async def _whole_body(request: web.Request, most_bytes: int, within: float) -> bytes:
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    if request.content.is_eof():
        # It came with the headers, as small ones do: nothing to wait for.
        whole = request.content.read_nowait()
        if len(whole) > most_bytes:
            raise _too_large(most_bytes)
        return whole
    raw = bytearray()
    try:
        async with asyncio.timeout(within):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise problem("timeout", 408, "The body did not arrive in time", headers={"Connection": "close"}) from None
    except (OSError, HttpProcessingError, web.RequestPayloadError):
        # Who sends it went away, or ended it otherwise than it began: no fault of ours, and nothing of it counts.
        raise problem("bad-http", 400, "The body did not arrive whole", headers={"Connection": "close"}) from None
    return bytes(raw)


def _too_large(most_bytes: int) -> ProblemError:
    return problem("too-large", 413, "The body is too large", f"At most {most_bytes} bytes are read.")


def parse_body(raw: bytes, model: type[Model]) -> Model:
    """Return a JSON document as ``model``.

    A repeated name is refused: two parsers could read the document differently (RFC 8259 section 4).

    Raises:
        ProblemError: 400.
    """
    try:
        document = read_json(raw)
    except ValueError as error:
        detail = str(error) if isinstance(error, AmbiguousError | TooDeepError) else "It is no JSON."
        raise problem("invalid-request", 400, "The body cannot be read", detail) from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error, document) from None


def address_of(request: web.Request) -> str:
    """Return the peer's address as this side sees it; forwarded headers are never believed.

    Whoever comes over a Unix socket is on this machine.
    """
    if link_of(request).is_local:
        return "127.0.0.1"
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
