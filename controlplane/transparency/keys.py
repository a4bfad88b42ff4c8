"""Private keys of logs and witnesses, as they lie in files: ``PRIVATE+KEY+name+id+key``, the form of Go's notes."""

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controlplane.transparency.notes import Kind, NoteInvalid, Signer

_PREFIX = "PRIVATE+KEY+"
_TYPES: dict[Kind, int] = {"note": 1, "cosignature": 4}
_SEED_BYTES = 32


def new_signer(name: str, kind: Kind) -> Signer:
    """Return a signer with a new key."""
    return Signer(name, kind, Ed25519PrivateKey.generate())


def write_signer(signer: Signer) -> bytes:
    """Return a signer as its file holds it: a secret."""
    typed = bytes([_TYPES[signer.kind]]) + signer.key.private_bytes_raw()
    key_id = signer.verifier.key_id.hex()
    return f"{_PREFIX}{signer.name}+{key_id}+{base64.b64encode(typed).decode()}\n".encode()


def read_signer(content: bytes, kind: Kind) -> Signer:
    """Return the signer of a file.

    Raises:
        NoteInvalid: it holds none, or one of another kind. The message shows nothing of the key.
    """
    try:
        text = content.decode("ascii").strip()
        if not text.startswith(_PREFIX):
            raise ValueError
        name, key_id, encoded = text.removeprefix(_PREFIX).split("+", 2)
        typed = base64.b64decode(encoded, validate=True)
        if typed[:1] != bytes([_TYPES[kind]]) or len(typed) != 1 + _SEED_BYTES:
            raise ValueError
        found = Signer(name, kind, Ed25519PrivateKey.from_private_bytes(typed[1:]))
        if found.verifier.key_id.hex() != key_id:
            raise ValueError
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise NoteInvalid(f"the file holds no private key of a {kind}, or it was changed") from None
    return found
