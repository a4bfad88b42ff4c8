"""The members of evidence as bytes, within the bounds of whoever verifies it."""

import binascii
from collections.abc import Mapping

from controlplane.attestation.interface import EvidenceRefused

_STANDARD = str.maketrans("-_", "+/")


def decode_members(encoded: Mapping[str, str], allowed: Mapping[str, int]) -> dict[str, bytes]:
    """Return members, decoded.

    Args:
        encoded: base64 or base64url by name, with its padding or without.
        allowed: the most bytes that each may have.

    Raises:
        EvidenceRefused: there is another member, one is too large, or one is no base64 (``malformed``).
    """
    unknown = sorted(encoded.keys() - allowed.keys())
    if unknown:
        raise EvidenceRefused("malformed", f"it has no member {unknown[0]}; those it may have: {_listed(allowed)}")
    return {name: _decode(name, text, allowed[name]) for name, text in encoded.items()}


def _decode(name: str, text: str, most_bytes: int) -> bytes:
    bare = text.rstrip("=").translate(_STANDARD)
    if len(bare) * 3 // 4 > most_bytes:
        raise EvidenceRefused("malformed", f"{name} has more than {most_bytes} bytes")
    try:
        found = binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except binascii.Error:
        found = None
    # Of bits that are left over at the end, only zeros have one spelling.
    if found is None or binascii.b2a_base64(found, newline=False).rstrip(b"=") != bare.encode():
        raise EvidenceRefused("malformed", f"{name} is neither base64 nor base64url")
    return found


def _listed(allowed: Mapping[str, int]) -> str:
    return ", ".join(sorted(allowed)) or "none"
