"""Bytes as text that people can copy: base58btc with its multibase letter, and the kinds of keys by multicodec.

Multibase marks an encoding by its first letter, multicodec the kind of what is encoded by a number before it. Of the
many that there are, one encoding and three kinds are read here, each in its one spelling.
"""

from typing import Literal

KeyKind = Literal["P-256", "Ed25519", "secp256k1"]
"""Kinds of public keys that are read, by the names that JOSE has for their curves."""

MOST_CHARS = 64
"""As long as an encoded key may be; the longest that is read has 49 characters."""

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: value for value, letter in enumerate(_ALPHABET)}
_BASE58BTC = "z"

# Multicodec numbers as variable-length integers: 0x1200, 0xed and 0xe7, each followed by so many bytes.
_KINDS: dict[KeyKind, tuple[bytes, int]] = {
    "P-256": (b"\x80\x24", 33),
    "Ed25519": (b"\xed\x01", 32),
    "secp256k1": (b"\xe7\x01", 33),
}


def encode_base58(raw: bytes) -> str:
    """Return bytes as base58 with Bitcoin's alphabet; each zero in front is a ``1``."""
    value, digits = int.from_bytes(raw, "big"), ""
    while value:
        value, digit = divmod(value, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def decode_base58(text: str) -> bytes:
    """Return the bytes of a base58 text of up to `MOST_CHARS`. Each text is the only spelling of its bytes.

    Raises:
        ValueError: too long, or a character that is none of the alphabet.
    """
    if len(text) > MOST_CHARS:
        raise ValueError(f"more than {MOST_CHARS} characters")
    value = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise ValueError("a character that base58 does not have")
        value = value * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + value.to_bytes((value.bit_length() + 7) // 8, "big")


def encode_key(kind: KeyKind, raw: bytes) -> str:
    """Return a public key as multibase text.

    Args:
        kind: of key.
        raw: a compressed point of 33 bytes; 32 bytes for Ed25519.

    Raises:
        ValueError: a key of that kind has another length.
    """
    mark, length = _KINDS[kind]
    if len(raw) != length:
        raise ValueError(f"a {kind} key has {length} bytes, this has {len(raw)}")
    return _BASE58BTC + encode_base58(mark + raw)


def decode_key(text: str) -> tuple[KeyKind, bytes]:
    """Return the kind and the bytes of a public key in multibase text. Whether it is a point is not looked at.

    Raises:
        ValueError: another encoding, another kind of key, or another length.
    """
    if not text.startswith(_BASE58BTC):
        raise ValueError("only base58btc is read, which begins with z")
    raw = decode_base58(text[1:])
    for kind, (mark, length) in _KINDS.items():
        if raw.startswith(mark):
            if len(raw) != len(mark) + length:
                raise ValueError(f"a {kind} key has {length} bytes, this has {len(raw) - len(mark)}")
            return kind, raw[len(mark) :]
    raise ValueError("no P-256, Ed25519 or secp256k1 key by its multicodec number")
