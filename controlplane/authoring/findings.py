"""What is wrong with a policy folder: where, and what to do about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: relative to the policy folder.
        line: from 1.
        check: the name of the check that found it.
        message: what is wrong.
        remedy: what to do.
        column: from 1, where OPA or the linter says it.
    """

    file: str
    line: int
    check: str
    message: str
    remedy: str
    column: int = 1


def line_of(path: Path, text: str) -> int:
    """Return the first line of a file that holds ``text``; 1 when none does."""
    return next((number for number, line in _lines(path) if text in line), 1)


def place_of_code(files: Iterable[Path], code: str) -> tuple[Path, int] | None:
    """Return where a requirement is shown to hold, or where it is named at least."""
    shown = re.compile(rf'\bcontains "{re.escape(code)}"')
    files = list(files)
    for pattern in (shown, re.compile(rf'"{re.escape(code)}"')):
        for path in files:
            for number, line in _lines(path):
                if pattern.search(line):
                    return path, number
    return None


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    try:
        return enumerate(path.read_text().splitlines(), 1)
    except OSError:
        return ()
