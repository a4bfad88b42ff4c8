"""HPKE in base mode, written down from RFC 9180 with its own HKDF and X25519 alone: an oracle for the library's."""

import hashlib
import hmac
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEM = b"KEM\x00\x20"


class Sealed(NamedTuple):
    enc: bytes
    ciphertext: bytes


def extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, hashlib.sha256)


def expand(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return hmac.digest(secret, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01", hashlib.sha256)[
        :length
    ]


def seal(ephemeral: bytes, recipient: bytes, info: bytes, aad: bytes, plaintext: bytes, key_bytes: int) -> Sealed:
    """Seal with an ephemeral key that is given, to a public key; AES with keys of so many bytes."""
    own, other = X25519PrivateKey.from_private_bytes(ephemeral), X25519PublicKey.from_public_bytes(recipient)
    enc = own.public_key().public_bytes_raw()
    prk = extract(b"", KEM, b"eae_prk", own.exchange(other))
    shared = expand(prk, KEM, b"shared_secret", enc + recipient, 32)
    suite = b"HPKE\x00\x20\x00\x01" + {16: b"\x00\x01", 32: b"\x00\x02"}[key_bytes]
    context = b"\x00" + extract(b"", suite, b"psk_id_hash", b"") + extract(b"", suite, b"info_hash", info)
    secret = extract(shared, suite, b"secret", b"")
    key = expand(secret, suite, b"key", context, key_bytes)
    nonce = expand(secret, suite, b"base_nonce", context, 12)
    return Sealed(enc, AESGCM(key).encrypt(nonce, plaintext, aad))
