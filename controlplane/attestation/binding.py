"""What evidence carries, so that it answers one challenge, of one key's holder, and vouches for one release key."""

import hashlib
from base64 import urlsafe_b64decode

from controlplane.contracts.attestation import ReleaseKey

BYTES = 32
"""Of a binding. Where a field has more room, such as a report's 64 bytes, the rest is zero."""

_CONTEXT = b"ztfm attestation 1\0"


def binding(nonce: str, thumbprint: str, release_key: ReleaseKey | None = None) -> bytes:
    """Return the 32 bytes that evidence carries in its qualifying data, report data or nonce.

    SHA-256 over a context, the nonce, the thumbprint of the key that signs the request, and the SHA-256 of the release
    key with its suite. All parts but the last have one length, so no two sets of parts make the same input.

    Args:
        nonce: of the challenge, base64url.
        thumbprint: of the subject's key (RFC 7638).
        release_key: to which secrets may be sealed, where there is one.

    Raises:
        ValueError: the nonce or the key is no base64url, or the nonce or the thumbprint has another length.
    """
    raw = _decode(nonce)
    if len(raw) != BYTES or len(thumbprint) != 43:
        raise ValueError("a nonce has 32 bytes and a thumbprint 43 characters")
    parts = _CONTEXT + raw + thumbprint.encode("ascii")
    if release_key is not None:
        parts += hashlib.sha256(release_key.suite.encode() + b"\0" + _decode(release_key.key)).digest()
    return hashlib.sha256(parts).digest()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
