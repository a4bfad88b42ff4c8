"""The signing key of an installation that had one key in a file, before there was a ring."""

from dataclasses import dataclass
from pathlib import Path

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import read_private
from controlplane.jose.keys import SigningKey


@dataclass(frozen=True)
class Inherited:
    """A key from a file.

    Attributes:
        key: the key.
        since: when the file was written, Unix seconds.
    """

    key: SigningKey
    since: float


def read_inherited(path: Path) -> Inherited | None:
    """Return the key of a PEM file, or none when there is no file.

    Raises:
        KeyFileError: the file is readable by others, or holds no P-256 key.
        OSError: it cannot be read.
    """
    pem = read_private(path)
    if pem is None:
        return None
    try:
        return Inherited(SigningKey.from_pem(pem), path.stat().st_mtime)
    except ValueError as error:
        raise KeyFileError(f"{path} holds no P-256 private key in PEM form: {error}. Move it away.") from None
