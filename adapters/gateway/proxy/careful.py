"""Keep back the last words of a running text, for as long as they may be the beginning of something to black out."""

from collections.abc import Callable

from adapters.gateway.content.plain import is_unseen
from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy.shaping import Unshapable

EVERYTHING = Terms("", redact=frozenset({"secrets", "personal"}))
"""Terms by which whatever could be blacked out would be."""

MOST_KEPT = 2048
"""Characters of something that goes on and on, before the text ends here."""

_MOST_NUMBERS = 256
_BEFORE = 64
"""Characters of numbers, and of what has gone on already, that are looked at; blank and unseen ones do not count."""

_MOST_BLANK = 8192
_PRINTED = frozenset(map(chr, range(0x21, 0x7F)))

Redacted = Callable[[Terms, str], str]
"""Blacks out in a text what terms want."""


class Careful:
    """One running text: its words go on once they are whole, numbers once it is seen what they are of.

    So what is told by one word is seen before any of it has gone on, and what is told by several where these have
    digits: account numbers, cards, telephone numbers. Whatever is seen too late ends the text where policy minds it.

    Args:
        redacted: blacks out.
    """

    def __init__(self, redacted: Redacted) -> None:
        self._redacted = redacted
        self._before = self._held = ""
        self._shown = ""
        """What is kept, with everything blacked out that could be."""

    def add(self, text: str) -> bool:
        """Take a piece; return whether there is anything that policy may want blacked out."""
        self._held += text
        kept = self._before + self._held
        self._shown = self._redacted(EVERYTHING, kept)
        return self._shown != kept

    def is_doubtful(self, terms: Terms) -> bool:
        """Whether there is something that these terms leave as it is, and others would not."""
        kept = self._before + self._held
        return self._shown not in (kept, self._redacted(terms, kept))

    def release(self, terms: Terms) -> str:
        """Return what may go on by now.

        Raises:
            Unshapable: what is to be blacked out has begun to go on already, or does not end.
        """
        cut = _whole_words(self._held)
        # A word that goes on and on is let go but for its end.
        return self._let_go(terms, cut if len(self._held) - cut <= MOST_KEPT else _last(self._held, _MOST_NUMBERS))

    def end(self, terms: Terms) -> str:
        """Return the rest.

        Raises:
            Unshapable: as `release`.
        """
        return self._let_go(terms, len(self._held))

    def _let_go(self, terms: Terms, cut: int) -> str:
        before, passing, kept = self._before, self._held[:cut], self._held[cut:]
        shown, is_clean = passing, self._shown == before + self._held
        if not is_clean:
            whole = self._redacted(terms, before + self._held)
            if not whole.startswith(before):
                raise Unshapable("what is to be blacked out has begun to go by")
            shown = self._redacted(terms, before + passing)
            if shown + self._redacted(terms, kept) != whole:
                # It lies across the cut.
                if len(self._held) > MOST_KEPT:
                    raise Unshapable("what is to be blacked out does not end")
                return ""
            shown = shown.removeprefix(before)
            if passing:
                # What was decided on is not looked at again.
                before = passing = ""
        before += passing
        before = before[_last(before, _BEFORE) :]
        if max(len(before), len(kept)) > _MOST_BLANK:
            raise Unshapable("what could part something that is to be blacked out does not end")
        self._before, self._held = before, kept
        self._shown = self._before + kept if is_clean else self._redacted(EVERYTHING, self._before + kept)
        return shown


def _whole_words(text: str) -> int:
    """Return where the last word begins, or the numbers before it: words are what ASCII has, and what is unseen."""
    at, least = _word(text, len(text)), _last(text, _MOST_NUMBERS)
    while at and at >= least:
        ends = len(text[:at].rstrip())
        begins = _word(text, ends)
        if not any(char.isdigit() for char in text[begins:ends]):
            break
        at = begins
    return at


def _word(text: str, end: int) -> int:
    """Return where the word begins that ends at a place."""
    at = end
    while at and (text[at - 1] in _PRINTED or is_unseen(text[at - 1])):
        at -= 1
    return at


def _last(text: str, seen: int) -> int:
    """Return where so many last characters begin, of those that are neither blank nor unseen."""
    at = len(text)
    while at and seen:
        at -= 1
        seen -= not (text[at].isspace() or is_unseen(text[at]))
    return at
