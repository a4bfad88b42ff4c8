"""Masks: streams of ChaCha20 (RFC 8439) that are added to whole numbers modulo 2^32 or 2^64."""

from typing import Any, Literal

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

Bits = Literal[32, 64]
"""Sums are modulo 2 to this."""

Words = NDArray[np.unsignedinteger[Any]]
"""Little-endian ``uint32`` or ``uint64``."""

KEY_BYTES = 32
_BLOCK_BYTES = 1 << 17
_ZEROS = bytes(_BLOCK_BYTES)


def zeros(length: int, bits: Bits) -> Words:
    """Return so many zeros, (length,)."""
    return np.zeros(length, dtype=f"<u{bits // 8}")


def derive(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    """Return a key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt, purpose).derive(secret)


def agree(private: X25519PrivateKey, public: bytes, salt: bytes, purpose: bytes) -> bytes:
    """Return the key that two parties share for one purpose (X25519, RFC 7748).

    Raises:
        ValueError: ``public`` is no key that can be agreed with.
    """
    return derive(private.exchange(X25519PublicKey.from_public_bytes(public)), salt, purpose)


def can_be_agreed_with(public: bytes) -> bool:
    """Whether 32 bytes are a public key, and none of small order, with which no secret is shared (RFC 7748)."""
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return False
    return True


def add(total: Words, key: bytes, sign: Literal[1, -1]) -> None:
    """Add the stream of ``key`` to ``total`` in place, or take it away; no copy of that size is made.

    Args:
        total: (length,), modulo 2 to its bits.
        key: of 32 bytes, for this one stream: the nonce is fixed.
        sign: 1 adds, -1 takes away.
    """
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    block = bytearray(_BLOCK_BYTES)
    words = np.frombuffer(block, dtype=total.dtype)
    put = np.add if sign == 1 else np.subtract
    for start in range(0, len(total), len(words)):
        part = total[start : start + len(words)]
        stream.update_into(_ZEROS[: part.nbytes], block)
        put(part, words[: len(part)], out=part)
