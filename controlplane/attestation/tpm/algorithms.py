"""Numbers of algorithms (TCG algorithm registry), and what they are called here."""

from cryptography.hazmat.primitives import hashes

HASHES = {0x000B: "sha256", 0x000C: "sha384"}
"""Hashes that we take, by number. SHA-1 collides, and no TPM of today needs it."""

DIGEST_BYTES = {"sha256": 32, "sha384": 48}

RSA = 0x0001
AES = 0x0006
NULL = 0x0010
RSASSA = 0x0014
RSAPSS = 0x0016
ECDSA = 0x0018
ECC = 0x0023
CFB = 0x0043


def hash_of(name: str) -> hashes.HashAlgorithm:
    """Return ``sha256`` or ``sha384`` as `cryptography` has it."""
    return hashes.SHA256() if name == "sha256" else hashes.SHA384()


def schemes_of(kind: int) -> tuple[int, ...]:
    """Return the schemes that a key of type `RSA` or `ECC` may sign with."""
    return (RSASSA, RSAPSS) if kind == RSA else (ECDSA,)
