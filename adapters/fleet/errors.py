"""What stops a whole run; what is wrong with one line is a `Fault` instead."""

from dataclasses import dataclass


class FleetError(Exception):
    """The fleet cannot be enrolled, or not any further; the message says what to do."""


class Stopped(FleetError):  # noqa: N818 - named for what happened
    """Somebody stopped the run before this was done; nothing was asked for it since."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line of the file.

    Attributes:
        line: counted from 1, where the line begins; 0 for the file as a whole.
        name: of the device; empty where it has none.
        what: is wrong, in a sentence without secrets.
        remedy: what to do.
    """

    line: int
    name: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        return printable(f"{where}{f' ({self.name})' if self.name else ''}: {self.what.rstrip('.')}. {self.remedy}")


def printable(text: str) -> str:
    """Return a text of others' as a terminal may be shown it, in one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
