"""Blacking out: whole texts by their places, and texts that come in pieces with as little delay as is safe."""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from adapters.gateway.content.interface import Found, Place
from adapters.gateway.content.plain import is_unseen

BEHIND = 64
"""Characters that have passed and are looked at once more, for what is told by the word before it."""

HELD = 256
"""Characters that are kept back, so that what is blacked out is seen whole before its beginning has passed.

Blank and unseen ones do not count: however many there are, they hide nothing.
"""

MOST_HELD = 16_384
"""Characters that are kept back at most: longer is nothing that can be told from a credential that goes on."""

MARKS = {"secrets": "[secret removed]", "personal": "[personal data removed]"}
"""What stands for a place, by its group."""

_PRINTED = frozenset(map(chr, range(0x21, 0x7F)))

Look = Callable[[str], Found]
"""Finds what lies where in a text."""


class NeverEnding(ValueError):  # noqa: N818 - named for what happened
    """A stream shows what may be a credential, and it does not end: nothing more of it may pass."""


def redacted(text: str, places: Sequence[Place], kinds: Collection[str]) -> str:
    """Return a text with marks for its places of these groups; places that overlap get one mark."""
    merged: list[tuple[int, int, str]] = []
    for place in sorted((one for one in places if one.group in kinds), key=lambda one: (one.start, one.end)):
        if merged and place.start < merged[-1][1]:
            start, end, group = merged[-1]
            # A credential within a longer place of personal data is a credential all the same.
            merged[-1] = start, max(end, place.end), "secrets" if "secrets" in (group, place.group) else group
        else:
            merged.append((place.start, place.end, place.group))
    if not merged:
        return text
    ends = [(0, 0, ""), *merged, (len(text), len(text), "")]
    return "".join(text[one[1] : other[0]] + MARKS.get(other[2], "") for one, other in pairwise(ends))


class StreamRedactor:
    """Blacks out one text that comes in pieces: what it gives out is as `redacted` would make it of the whole.

    Args:
        kinds: groups that are blacked out; may be changed while it goes on, and counts from then on.
        look: finds what lies where.
    """

    def __init__(self, kinds: Collection[str], look: Look) -> None:
        self.kinds = frozenset(kinds)
        self._look = look
        self._behind = self._held = ""
        self._due = HELD

    def push(self, text: str) -> str:
        """Take the next piece and return what may pass now; it may be empty.

        Raises:
            NeverEnding: too much would have to be kept back.
        """
        self._held += text
        if not self.kinds:
            return self._let_go(len(self._held), ())
        if len(self._held) <= self._due:
            return ""
        places = self._places()
        cut = self._cut(places)
        if len(self._held) - cut > MOST_HELD:
            raise NeverEnding("more is kept back than any credential is long")
        return self._let_go(cut, places)

    def end(self) -> str:
        """Return the rest, once nothing more comes."""
        return self._let_go(len(self._held), self._places() if self.kinds else ())

    def _places(self) -> list[Place]:
        offset = len(self._behind)
        return [
            Place(max(0, one.start - offset), one.end - offset, one.group, one.kind)
            for one in self._look(self._behind + self._held).places
            if one.end > offset and one.group in self.kinds
        ]

    def _cut(self, places: Sequence[Place]) -> int:
        """Return how much may pass: neither a place nor a word of ASCII is cut, for either may go on."""
        cut, seen = len(self._held), 0
        while cut and seen < HELD:
            cut -= 1
            seen += not (self._held[cut].isspace() or is_unseen(self._held[cut]))
        while cut:
            word = self._word(cut)
            start = min((one.start for one in places if one.start < word < one.end), default=word)
            if start == cut:
                break
            cut = start
        return cut

    def _word(self, cut: int) -> int:
        """Return where the word begins that a cut would part; unseen characters part none."""
        held = self._held
        if not held[cut].isspace():
            while cut and (held[cut - 1] in _PRINTED or is_unseen(held[cut - 1])):
                cut -= 1
        return cut

    def _let_go(self, cut: int, places: Sequence[Place]) -> str:
        passing, self._held = self._held[:cut], self._held[cut:]
        self._behind = (self._behind + passing)[-BEHIND:]
        # What is kept back for long is looked at less often, or each of its pieces would cost as much as all of it.
        self._due = max(HELD, len(self._held) + len(self._held) // 8)
        return redacted(passing, [one for one in places if one.end <= cut], self.kinds)
