"""Seal what is secret at rest: AES-256-GCM under a key that lives in a private file, apart from the store."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controlplane.capabilities.errors import KeyFileError, SealError
from controlplane.capabilities.keyfiles import create_private, read_private

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Sealer:
    """Seals and opens small secrets. Its text form shows nothing, and it is neither copied nor pickled.

    Args:
        key: 32 random bytes.
    """

    __slots__ = ("_cipher", "_root")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueError(f"a sealing key has {_KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self._root = hmac.digest(key, b"derived", hashlib.sha256)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Return the sealer of the key in ``path`` (base64url), made on first use with mode 0600.

        Raises:
            KeyFileError: others can read the file, or it holds no such key.
            OSError: the folder cannot be read or written.
        """
        text = read_private(path)
        if text is None:
            text = create_private(path, urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
        try:
            return cls(urlsafe_b64decode(text.strip()))
        except ValueError:
            raise KeyFileError(
                f"{path} holds no sealing key: 32 bytes in base64url. Restore it from a backup."
            ) from None

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return ``secret`` sealed; it opens under the same ``context`` alone (what it is, and whose)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed under ``context``.

        Raises:
            SealError: sealed with another key or for another context, or damaged.
        """
        if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
            raise SealError("a sealed secret is too short; restore the store and the sealing key from one backup")
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except InvalidTag:
            raise SealError("a sealed secret does not open with this sealing key; was the key file replaced?") from None

    def derived(self, purpose: str) -> bytes:
        """Return 32 secret bytes for a purpose, the same for all who have this key; they say nothing about it."""
        return hmac.digest(self._root, purpose.encode(), hashlib.sha256)

    def examine(self, path: Path) -> str:
        """Return ``ok`` while ``path`` still keeps this very key for nobody else to read, or what is wrong.

        With a key that is lost or replaced on disk nothing opens after the next start.
        """
        try:
            text = read_private(path)
        except KeyFileError:
            return "others can read the sealing key's file"
        except OSError:
            return "the sealing key's file cannot be read"
        if text is None:
            return "the sealing key's file is gone"
        try:
            type(self)(urlsafe_b64decode(text.strip())).open(self.seal(b"", "examine"), "examine")
        except SealError:
            return "the sealing key's file holds another key"
        except ValueError:
            return "the sealing key's file holds no key"
        return "ok"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealing key is neither copied nor pickled")

    def __repr__(self) -> str:
        return "Sealer()"
