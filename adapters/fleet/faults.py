"""What is wrong, line by line, in a file that a spreadsheet opens."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.fleet.errors import Fault, FleetError

SHOWN = 20
"""Faults that are kept to be shown; the file has all."""


class FaultsFile:
    """Writes faults as they are found; without any there is no file. A context manager.

    Args:
        path: of the file; what an earlier run wrote there is replaced.

    Attributes:
        count: of faults.
        first: the first of them.

    Raises:
        FleetError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[Fault] = []
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
            self._rows = csv.writer(self._file)
            self._rows.writerow(["line", "name", "what", "remedy"])
        except OSError as error:
            raise FleetError(f"{path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink()

    def add(self, fault: Fault) -> None:
        """Write one down.

        Raises:
            FleetError: it cannot be written.
        """
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(fault)
        try:
            self._rows.writerow([fault.line, *(_plain(text) for text in (fault.name, fault.what, fault.remedy))])
            self._file.flush()
        except OSError as error:
            raise FleetError(f"{self.path} cannot be written: {error.strerror}") from None


def _plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
