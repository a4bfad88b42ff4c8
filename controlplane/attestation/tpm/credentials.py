"""Credentials: secrets for the TPM with an endorsement key, opened there only if it holds another key of a given name.

What TPM2_MakeCredential does (TPM 2.0 part 1, section 24; the seed: annexes B.10.4 and C.6.1), without a TPM.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from controlplane.attestation.tpm.algorithms import hash_of
from controlplane.attestation.tpm.publics import Public

SECRET_BYTES = 32

_IDENTITY = b"IDENTITY\0"
_BLOCK = 16

Random = Callable[[int], bytes]
"""As many random bytes as it is asked for."""


@dataclass(frozen=True)
class Credential:
    """What TPM2_ActivateCredential takes.

    Attributes:
        blob: content of a TPM2B_ID_OBJECT.
        secret: content of a TPM2B_ENCRYPTED_SECRET.
    """

    blob: bytes
    secret: bytes


def make_credential(
    endorsement_key: Public, name: bytes, secret: bytes, random: Random = secrets.token_bytes
) -> Credential:
    """Return a credential that holds a secret.

    Args:
        endorsement_key: of the TPM that may open it; `Public.check_endorses` holds.
        name: of the key that has to be in that TPM.
        secret: at most as long as a digest of the endorsement key's name.
        random: where the seed comes from.

    Raises:
        ValueError: the secret is too long, or the key protects nothing.
    """
    size = hashlib.new(endorsement_key.hashed_with).digest_size
    if len(secret) > size or endorsement_key.symmetric_bits is None:
        raise ValueError(f"a credential holds at most {size} bytes, for a key that protects what it is given")
    seed, sealed = _seed(endorsement_key, size, random)
    algorithm = endorsement_key.hashed_with
    cipher_key = derive(algorithm, seed, b"STORAGE", name, endorsement_key.symmetric_bits)
    identity = cfb(cipher_key, len(secret).to_bytes(2, "big") + secret)
    integrity_key = derive(algorithm, seed, b"INTEGRITY", b"", size * 8)
    integrity = hmac.digest(integrity_key, identity + name, algorithm)
    return Credential(size.to_bytes(2, "big") + integrity + identity, sealed)


def derive(algorithm: str, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Return ``bits`` of KDFa (part 1, section 11.4.10.2; SP 800-108 in counter mode with HMAC)."""
    rest = label + b"\0" + context + bits.to_bytes(4, "big")
    return _stream(lambda counter: hmac.digest(key, counter + rest, algorithm), bits)


def derive_shared(algorithm: str, shared: bytes, label: bytes, parties: bytes, bits: int) -> bytes:
    """Return ``bits`` of KDFe (part 1, section 11.4.10.3; SP 800-56A) from what two keys have in common.

    Args:
        algorithm: the hash.
        shared: first coordinate of the common point, as long as the curve's.
        label: with its final zero.
        parties: first coordinates of both keys, the sender's first.
        bits: how many.
    """
    rest = shared + label + parties
    return _stream(lambda counter: hashlib.new(algorithm, counter + rest).digest(), bits)


def cfb(key: bytes, text: bytes) -> bytes:
    """Return a text under AES in CFB mode with an initial vector of zero, as part 1, section 11.4.9 has it."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the block cipher that CFB is made of
    sealed, before = b"", bytes(_BLOCK)
    for at in range(0, len(text), _BLOCK):
        block = text[at : at + _BLOCK]
        before = bytes(a ^ b for a, b in zip(block, encryptor.update(before), strict=False))
        sealed += before
    return sealed


def _stream(block: Callable[[bytes], bytes], bits: int) -> bytes:
    size, out, counter = bits // 8, b"", 0
    while len(out) < size:
        counter += 1
        out += block(counter.to_bytes(4, "big"))
    return out[:size]


def _seed(endorsement_key: Public, size: int, random: Random) -> tuple[bytes, bytes]:
    """A new seed, and what tells it to the holder of a key alone."""
    key, algorithm = endorsement_key.key, endorsement_key.hashed_with
    if isinstance(key, rsa.RSAPublicKey):
        seed, hashed = random(size), hash_of(algorithm)
        return seed, key.encrypt(seed, padding.OAEP(padding.MGF1(hashed), hashed, _IDENTITY))
    once = ec.generate_private_key(key.curve)
    ours, theirs = once.public_key().public_numbers(), key.public_numbers()
    width = (key.curve.key_size + 7) // 8
    x, y, other = (number.to_bytes(width, "big") for number in (ours.x, ours.y, theirs.x))
    seed = derive_shared(algorithm, once.exchange(ec.ECDH(), key), _IDENTITY, x + other, size * 8)
    length = width.to_bytes(2, "big")
    return seed, length + x + length + y
