"""The last table on the disk, so that a router that starts without the control plane lets through what it last knew."""

import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from adapters.segments.errors import StateUnreadable
from controlplane.contracts.base import StrictModel, Timestamp
from controlplane.contracts.segmentation import GrantTable

CLOCK_SECONDS = 5.0
"""By which a clock may have been set back since; one that shows less is not believed."""

_FILE = "table.json"
_MAX_BYTES = 64 * 1024 * 1024


class Kept(StrictModel):
    """A table as it was in force.

    Attributes:
        kept_at: Unix seconds.
        table: without what was revoked until then.
    """

    kept_at: Timestamp
    table: GrantTable


class TableFile:
    """One table in a folder, replaced whole; for its owner alone.

    Args:
        folder: made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def keep(self, table: GrantTable, now: float) -> None:
        """Write a table in place of the one before.

        Where that fails there is none: an older one may grant what was taken back since, to a start without the
        control plane.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            self._write(table, now)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise

    def _write(self, table: GrantTable, now: float) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._path.parent.glob(f".{_FILE}-*"):
            # Of an agent that was killed while it wrote.
            left.unlink(missing_ok=True)
        draft = self._path.with_name(f".{_FILE}-{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(Kept(kept_at=now, table=table).model_dump_json())
                file.flush()
                os.fsync(descriptor)
            draft.replace(self._path)
            _settle(self._path.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def load(self, now: float) -> GrantTable | None:
        """Return the table that was kept; none where none was.

        Raises:
            StateUnreadable: it cannot be read, or the clock shows less than when it was written: what ended since
                then could not be told.
        """
        try:
            kept = Kept.model_validate_json(self._read())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            why = str(error).splitlines()[0]
            raise StateUnreadable(f"{self._path} is not used ({why}); the next table replaces it") from None
        if now < kept.kept_at - CLOCK_SECONDS:
            raise StateUnreadable(
                f"{self._path} is not used: the clock shows {kept.kept_at - now:.0f} s less than when it was written; "
                "set the clock"
            )
        return kept.table

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise PermissionError("others can write it: whoever did could have written grants")
            return file.read(_MAX_BYTES)


def _settle(folder: Path) -> None:
    """Have the name of what was replaced on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
