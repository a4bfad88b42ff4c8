"""What an enrolled device keeps on disk: its key, and where it is known. Both files are private."""

import os
from pathlib import Path

from pydantic import ValidationError

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.contracts.base import Identifier, StrictModel
from controlplane.jose.keys import DeviceKey

_KEY = "key.pem"
_NEXT_KEY = "next-key.pem"
_IDENTITY = "identity.json"


class Identity(StrictModel):
    """Where a device is known, and as whom.

    Attributes:
        url: the control plane's public URL.
        id: the device's name there.
        issuer: whose capabilities it is given.
    """

    url: str
    id: Identifier
    issuer: str


def make_key(folder: Path) -> DeviceKey:
    """Return the key of ``folder``, made on first use.

    Raises:
        KeyFileError: the file is readable by others, or holds no P-256 key.
        OSError: the folder cannot be read or written.
    """
    path = folder / _KEY
    pem = read_private(path)
    return _key(path, create_private(path, DeviceKey.generate().to_pem()) if pem is None else pem)


def load_key(folder: Path) -> DeviceKey:
    """Return the key of a device that was enrolled before.

    Raises:
        FileNotFoundError: there is none.
        KeyFileError: as `make_key`.
        OSError: it cannot be read.
    """
    path = folder / _KEY
    pem = read_private(path)
    if pem is None:
        raise FileNotFoundError(f"{path} does not exist: enrol the device first")
    return _key(path, pem)


def make_next_key(folder: Path) -> DeviceKey:
    """Return the key that is to be the next of a device, made on first use and kept beside the one that it has.

    Raises:
        KeyFileError: as `make_key`.
        OSError: the folder cannot be read or written.
    """
    path = folder / _NEXT_KEY
    pem = read_private(path)
    return _key(path, create_private(path, DeviceKey.generate().to_pem()) if pem is None else pem)


def load_next_key(folder: Path) -> DeviceKey | None:
    """Return the key that was to be the next of a device; none where no rotation was begun.

    Raises:
        KeyFileError: as `make_key`.
        OSError: it cannot be read.
    """
    path = folder / _NEXT_KEY
    pem = read_private(path)
    return None if pem is None else _key(path, pem)


def swap_keys(folder: Path) -> None:
    """Have the next key be the device's; the one up to now is gone. At once or not at all, whatever happens meanwhile.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / _NEXT_KEY).replace(folder / _KEY)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def store_identity(folder: Path, identity: Identity) -> None:
    """Keep where the device is known; what was kept before is replaced.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / _IDENTITY
    path.unlink(missing_ok=True)
    create_private(path, identity.model_dump_json().encode())


def load_identity(folder: Path) -> Identity:
    """Return where the device is known.

    Raises:
        FileNotFoundError: it was never enrolled from here.
        KeyFileError: the file is readable by others, or holds something else.
        OSError: it cannot be read.
    """
    path = folder / _IDENTITY
    found = read_private(path)
    if found is None:
        raise FileNotFoundError(f"{path} does not exist: enrol the device first")
    try:
        return Identity.model_validate_json(found)
    except ValidationError:
        raise KeyFileError(f"{path} does not hold an enrolled device's identity. Enrol it again.") from None


def _key(path: Path, pem: bytes) -> DeviceKey:
    try:
        return DeviceKey.from_pem(pem)
    except ValueError as error:
        raise KeyFileError(f"{path} holds no P-256 private key in PEM form: {error}. Move it away.") from None
