"""Fingerprints of queries: alike for queries that are alike, and nothing that a query could be read from.

A fingerprint has 32 marks of a byte each; two queries are about as similar as the share of marks in which theirs
agree. The hashes are Python's own (SipHash with a secret of the process), so nobody can make two different queries look
alike, or guess a query from its fingerprint elsewhere.
"""

import random
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from operator import eq
from typing import Protocol, TypeVar

MARKS = 32
"""Of a fingerprint: the standard error of a similarity is 0.09 at most."""

MAX_CHARS = 2048
"""Of a text that are looked at; what comes after makes no difference."""

MAX_LENGTH = 16_384
"""Of a vector that is looked at; what comes after makes no difference."""

_SHINGLE = 3
_WORD = re.compile(r"\w+")
_NOTHING, _OTHER_NOTHING = b"\x00", b"\xff"
_VALUES = 254
_SIGNS_OF_MARK = 2
_SIGNS_OF_CELL = 6
_FEWEST = 16
_FEWEST_ALIKE = 3
"""Marks that are equal where two texts are near: one of a byte is equal by chance in every 254th pair."""

Query = TypeVar("Query", contravariant=True)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is remembered of a query.

    Attributes:
        whole: equal for equal queries alone, but for chance (2^-61).
        marks: one byte each; 0 where the query is too short to leave one.
        alike: share of equal marks from which on two queries differ little.
    """

    whole: int
    marks: bytes
    alike: float

    def near(self, others: Sequence["Fingerprint"]) -> int:
        """Return how many of ``others`` differ from this query, and little."""
        # What neither query has is nothing that they have in common.
        own, left = self.marks.replace(_NOTHING, _OTHER_NOTHING), self.marks.count(_NOTHING)
        least = self.alike * (len(self.marks) - left)
        return sum(
            sum(map(eq, own, other.marks)) >= max(least, _FEWEST_ALIKE) for other in others if other.whole != self.whole
        )


class Fingerprints(Protocol[Query]):
    """Makes fingerprints of one kind of query.

    Attributes:
        space: number of cells that the input space is divided into.
    """

    space: int

    def __call__(self, query: Query) -> tuple[Fingerprint, Sequence[int]]:
        """Return the fingerprint of a query, and the cells that it lies in, as whole numbers of any size."""
        ...


class TextFingerprints:
    """Of texts: one-permutation, eight-bit MinHash over three-letter shingles.

    Broder 1997; Li, Owen, Zhang 2012; Li, Koenig 2010. Texts are similar as far as they share shingles (Jaccard index),
    whatever the order of their words; one word in ten that is another leaves about three quarters. Words and pairs of
    words are the cells of the input space.
    """

    space = 2048
    alike = 0.7

    def __call__(self, query: str) -> tuple[Fingerprint, Sequence[int]]:
        """Return the fingerprint of a text and its cells; letter case, punctuation and spaces make no difference."""
        words = _WORD.findall(unicodedata.normalize("NFKC", query[:MAX_CHARS]).casefold())
        plain = " ".join(words)
        lowest: dict[int, int] = {}
        for shingle in {plain[at : at + _SHINGLE] for at in range(max(1, len(plain) - _SHINGLE + 1))}:
            value = hash(shingle)
            place = value % MARKS
            if value < lowest.get(place, value + 1):
                lowest[place] = value
        marks = bytearray(MARKS)
        for place, value in lowest.items():
            marks[place] = value // MARKS % _VALUES + 1
        pairs = {f"{one} {other}" for one, other in pairwise(words)}
        return Fingerprint(hash(plain), bytes(marks), self.alike), list(map(hash, {*words, *pairs}))


class VectorFingerprints:
    """Of feature vectors: signs of sparse random projections (Charikar 2002; Li, Hastie, Church 2006).

    Vectors are similar as the angle between them is small: of marks of two signs each, about (1 - angle/pi)^2 are
    equal. Six signs are a cell of the input space; a vector lies in ten cells, one of each of ten ways to divide it.
    A vector is filled up with zeros to a power of two: there are fifteen projections at most, whatever lengths come.

    Args:
        seed: of the projections; random where none is given.
    """

    space = MARKS * _SIGNS_OF_MARK // _SIGNS_OF_CELL << _SIGNS_OF_CELL
    alike = 0.75

    def __init__(self, seed: int | None = None) -> None:
        self._seed = secrets.randbits(64) if seed is None else seed
        self._projections: dict[int, list[list[tuple[int, float]]]] = {}

    def __call__(self, query: Sequence[float]) -> tuple[Fingerprint, Sequence[int]]:
        """Return the fingerprint of a vector, and its cells."""
        seen = query[:MAX_LENGTH]
        shape = 1 << max(0, len(seen) - 1).bit_length()
        padded = [*seen, *[0.0] * (shape - len(seen))]
        signs = [sum(padded[at] * sign for at, sign in row) > 0.0 for row in self._of(shape)]
        marks = bytes(number + 1 for number in _numbers(signs, _SIGNS_OF_MARK))
        cells = [at << _SIGNS_OF_CELL | number for at, number in enumerate(_numbers(signs, _SIGNS_OF_CELL))]
        return Fingerprint(hash((self._seed, *query)), marks, self.alike), cells

    def _of(self, length: int) -> list[list[tuple[int, float]]]:
        if length not in self._projections:
            chance = random.Random(self._seed ^ length)  # noqa: S311 - projections, not keys
            picked = min(length, max(_FEWEST, round(sqrt(length))))
            self._projections[length] = [
                [(at, chance.choice((-1.0, 1.0))) for at in chance.sample(range(length), picked)]
                for _ in range(MARKS * _SIGNS_OF_MARK)
            ]
        return self._projections[length]


def _numbers(signs: Sequence[bool], each: int) -> list[int]:
    """Return every ``each`` signs as one number."""
    return [
        sum(sign << at for at, sign in enumerate(signs[start : start + each]))
        for start in range(0, len(signs) - each + 1, each)
    ]
