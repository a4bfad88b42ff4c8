"""Texts as they are read, for looking; and the way back to where it stands in the text as it came."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_UNSEEN = ("Cc", "Cf", "Me", "Mn")
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
_BLANKS = "\t\n\v\f\r"
_MINUS = "\u2212"
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_LONGEST = 4


class Reading:
    """A text without what nobody sees, and in the plain form of its characters (NFKC, one by one).

    Invisible characters within a number, marks on its digits, other dashes and spaces between them, or digits of
    another script would otherwise hide it.

    Args:
        text: as it came.
    """

    __slots__ = ("_places", "plain")

    def __init__(self, text: str) -> None:
        self._places: Sequence[int] | None = None
        self.plain = text
        if not text.isascii() or _CONTROLS.search(text):
            parts = [(part, at) for at, char in enumerate(text) for part in _plain(char)]
            self.plain = "".join(part for part, _ in parts)
            self._places = [at for _, at in parts]

    def back(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the plain form, which is not empty, lies in the text as it came."""
        if self._places is None:
            return start, end
        return self._places[start], self._places[end - 1] + 1


def is_unseen(char: str) -> bool:
    """Whether a character leaves nothing where it stands by itself."""
    return not _plain(char)


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    if char in _BLANKS:
        return char
    category = unicodedata.category(char)
    if category in _UNSEEN or char in _FILLERS:
        return ""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if category == "Pd" or char == _MINUS:
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    # Of the few characters that stand for a whole sentence, nothing is a number.
    found = unicodedata.normalize("NFKC", char)
    return found if len(found) <= _LONGEST else char
