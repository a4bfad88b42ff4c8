"""Where a station keeps a fleet: a folder for each device, the journal, and what is wrong."""

import os
from pathlib import Path

from adapters.enrolment import Identity, load_identity, load_key, make_key, store_identity
from adapters.fleet.errors import FleetError
from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import read_private
from controlplane.jose.keys import DeviceKey


class Station:
    """The folder of a fleet.

    Args:
        folder: made when missing, for its owner alone.

    Attributes:
        journal: what was done.
        faults: what is wrong, for spreadsheets.

    Raises:
        FleetError: it cannot be made, or others may write into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.ndjson"
        self.faults = folder / "errors.csv"
        self._devices = folder / "devices"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._devices.mkdir(mode=0o700, exist_ok=True)
            self.journal.touch(mode=0o600)
            _sync(folder)
            mode = folder.stat().st_mode & 0o777
        except OSError as error:
            raise FleetError(f"{error.filename or folder} cannot be used: {error.strerror}") from None
        if mode & 0o077:
            raise FleetError(f"{folder} has mode {mode:04o}, and keys are made in it: run `chmod 700 {folder}`")

    def of(self, name: str) -> Path:
        """Return the folder of a device."""
        return self._devices / name

    def key(self, name: str, given: Path | None) -> tuple[DeviceKey, bool]:
        """Return a device's key, on disk to stay, and whether it was made just now.

        Args:
            name: of the device.
            given: file of its key, which is left where it is; none has one made.

        Raises:
            KeyFileError: it is readable by others, or no P-256 key.
            OSError: it cannot be read or written.
        """
        folder = self.of(name)
        if given is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
            return _given(given), False
        try:
            return load_key(folder), False
        except FileNotFoundError:
            key = make_key(folder)
            # Nobody may be enrolled whose key a power cut can take away.
            for changed in (folder, self._devices):
                _sync(changed)
            return key, True

    def keep(self, name: str, identity: Identity) -> None:
        """Keep where a device is known.

        Raises:
            OSError: it cannot be written.
        """
        folder = self.of(name)
        try:
            if load_identity(folder) == identity:
                return
        except (FileNotFoundError, KeyFileError):
            pass
        store_identity(folder, identity)
        _sync(folder)


def _given(path: Path) -> DeviceKey:
    pem = read_private(path)
    if pem is None:
        raise KeyFileError(f"{path} does not exist: put the device's key there")
    try:
        return DeviceKey.from_pem(pem)
    except ValueError as error:
        raise KeyFileError(f"{path} holds no P-256 private key in PEM form: {error}") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
