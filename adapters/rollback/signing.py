"""Sign what is archived with the aggregator's own enrolled key, and verify it (JWS, RFC 7515, ES256).

The header carries the public key, as a proof's does. A key proves a name (`adapters.credentials.subject_of`), so
whoever knows the aggregator's name can verify without having been given a key.
"""

import hashlib
import json
from typing import Any

from pydantic import ValidationError

from adapters.credentials import subject_of
from adapters.rollback.errors import ArchiveDamaged, TooLarge
from controlplane.contracts.base import StrictModel
from controlplane.contracts.identity import PublicKey
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public, thumbprint

TYPE = "ztfm-archive+jws"

MOST_CHARS = 8 * 1024 * 1024
"""Of a token: a round with a thousand updates takes a tenth of it. What is longer is neither read nor signed."""


def sign(key: DeviceKey, document: StrictModel) -> str:
    """Return ``document`` as a compact token that ``key`` signed.

    Raises:
        TooLarge: `open_token` would not read it.
    """
    header = {"typ": TYPE, "alg": "ES256", "jwk": key.public.model_dump()}
    token = key.sign(encode_segment(_json(header)), document.model_dump_json().encode())
    if len(token) > MOST_CHARS:
        raise TooLarge(
            f"what would be signed takes {len(token)} characters, and at most {MOST_CHARS} are read again. Keep fewer "
            "rounds in the archive, or leave out fewer subjects at once."
        )
    return token


def open_token(token: str, signer: str | None) -> tuple[dict[str, Any], str]:
    """Return the payload of a token whose signature holds, and the name of who signed it.

    Args:
        token: compact.
        signer: the name that its key must prove; none for any.

    Raises:
        ArchiveDamaged: it is malformed, its signature does not hold, or somebody else signed it.
    """
    found = parse(token, MOST_CHARS)
    if found is None or set(found.header) != {"typ", "alg", "jwk"}:
        raise ArchiveDamaged("is no compact JWS with typ, alg and jwk in its header")
    if found.header["typ"] != TYPE or found.header["alg"] != "ES256":
        raise ArchiveDamaged(f"is no {TYPE} with ES256")
    try:
        public = PublicKey.model_validate(found.header["jwk"])
        key = load_public(public)
    except (ValidationError, ValueError):
        raise ArchiveDamaged("names no P-256 key") from None
    name = subject_of(thumbprint(public))
    if signer is not None and name != signer:
        raise ArchiveDamaged(f"is signed by {name}, and should be by {signer}")
    if not is_signed_by(key, found):
        raise ArchiveDamaged(f"is not what {name} signed")
    try:
        return parse_object(found.payload), name
    except (ValueError, RecursionError):
        raise ArchiveDamaged("holds no JSON object") from None


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token, as ``sha256:<64 hex>``."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
