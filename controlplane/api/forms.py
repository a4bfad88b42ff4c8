"""Read an OAuth form: ``application/x-www-form-urlencoded``, bounded, and one value for each parameter."""

import asyncio
from collections import Counter
from typing import TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import ValidationError

from controlplane.api.oauth_errors import OAuthError
from controlplane.api.reading import BODY_SECONDS
from controlplane.contracts.oauth import OAuthForm

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 32 * 1024
MAX_PARAMETERS = 32

Form = TypeVar("Form", bound=OAuthForm)


async def read_form(request: web.Request, model: type[Form]) -> Form:
    """Return the form of a request as ``model``.

    A parameter without a value counts as left out, and one that nobody knows is passed over (RFC 6749 section 3.2).

    Raises:
        OAuthError: ``invalid_request`` for another media type, a form that is too large or malformed, a repeated
            parameter, or a missing one; ``invalid_target`` for more than one audience or resource.
    """
    if request.content_type != MEDIA_TYPE or request.headers.get("Content-Encoding", "identity") != "identity":
        raise OAuthError("invalid_request", f"The body must be {MEDIA_TYPE}, and not compressed.", cause="form_type")
    return parse_form(await _read(request), model)


def parse_form(raw: bytes, model: type[Form]) -> Form:
    """Return an encoded form as ``model``.

    Raises:
        OAuthError: as `read_form`.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        detail = f"The form cannot be read: percent-encoded UTF-8, at most {MAX_PARAMETERS} parameters."
        raise OAuthError("invalid_request", detail, cause="form_malformed") from None
    counts = Counter(name for name, _ in pairs)
    repeated = [name for name in model.model_fields if counts[name] > 1]
    if repeated and set(repeated) <= {"audience", "resource"}:
        raise OAuthError("invalid_target", "A token is for one audience.", cause="form_repeated")
    if any(count > 1 for count in counts.values()):
        raise OAuthError("invalid_request", "A parameter is repeated.", cause="form_repeated")
    try:
        return model.model_validate({name: value for name, value in pairs if value})
    except ValidationError as error:
        named = sorted({str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False)})
        detail = f"Missing, or too long: {', '.join(named)}."
        raise OAuthError("invalid_request", detail, cause="form_unfit") from None


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_FORM_BYTES:
        raise _too_large()
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > MAX_FORM_BYTES:
                    raise _too_large()
    except TimeoutError:
        headers = {"Connection": "close"}
        raise OAuthError("invalid_request", "The form did not arrive in time.", 408, headers=headers) from None
    return bytes(raw)


def _too_large() -> OAuthError:
    detail = f"A form has at most {MAX_FORM_BYTES} bytes."
    return OAuthError("invalid_request", detail, 413, headers={"Connection": "close"}, cause="form_too_large")
