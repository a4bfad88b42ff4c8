"""Client certificates that a proxy saw, in the spellings in which proxies tell of them."""

import base64
import binascii
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from controlplane.capabilities.certificates import MAX_CERTIFICATE_BYTES, read_certificate
from controlplane.contracts.base import Thumbprint
from controlplane.jose.jws import encode_segment

HEADER = "client-cert"
"""The header of RFC 9440, section 2.2: ``:<base64 of the DER certificate>:``."""

_MAX_CHARS = 2 * MAX_CERTIFICATE_BYTES
_ITEM = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
_Reader = Callable[[str], bytes | None]
_HASH = re.compile(r"(?:^|;)Hash=([0-9a-f]{64})(?=;|$)")


class Certified(NamedTuple):
    """A client certificate that the proxy verified.

    Attributes:
        thumbprint: SHA-256 of it, as capabilities are bound to it (RFC 8705 section 3.1).
        expires_at: Unix seconds.
    """

    thumbprint: Thumbprint
    expires_at: float


def by_item(headers: Mapping[str, Sequence[str]]) -> Certified | None:
    """Read RFC 9440's header: one byte sequence of structured fields; an empty one is none."""
    return _read(headers, HEADER, _from_item)


def by_escaped_pem(headers: Mapping[str, Sequence[str]]) -> Certified | None:
    """Read a percent-encoded PEM, as nginx has it (``$ssl_client_escaped_cert``), beside the word ``SUCCESS``."""
    if tuple(headers.get("client-cert-verified", ())) != ("SUCCESS",):
        return None
    return _read(headers, HEADER, _from_pem)


def by_hash(headers: Mapping[str, Sequence[str]]) -> Certified | None:
    """Read the hash of Envoy's ``x-forwarded-client-cert``: of one element, which Envoy itself set."""
    values = headers.get("x-forwarded-client-cert", ())
    if len(values) != 1 or "," in values[0] or len(found := _HASH.findall(values[0])) != 1:
        return None
    # It tells no expiry; Envoy verified that in the handshake.
    return Certified(encode_segment(bytes.fromhex(found[0])).decode(), float("inf"))


def _read(headers: Mapping[str, Sequence[str]], name: str, read: _Reader) -> Certified | None:
    values = headers.get(name, ())
    if len(values) != 1 or len(values[0]) > _MAX_CHARS:
        return None
    return _certified(read, values[0])


@lru_cache(1024)
def _certified(read: _Reader, text: str) -> Certified | None:
    der = read(text)
    found = read_certificate(der)
    return None if found is None else Certified(found.thumbprint, found.expires_at)


def _from_item(text: str) -> bytes | None:
    match = _ITEM.fullmatch(text)
    return None if match is None else _decoded(match[1])


def _from_pem(text: str) -> bytes | None:
    try:
        return ssl.PEM_cert_to_DER_cert(unquote(text, errors="strict"))
    except (ValueError, binascii.Error):
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
