"""The classifier that ships: wordings of injections, forms of credentials, forms of personal data."""

from collections.abc import Iterator

from adapters.gateway.content.interface import Found, Place
from adapters.gateway.content.personal import personal_places
from adapters.gateway.content.plain import Reading
from adapters.gateway.interfaces import Direction
from adapters.signals.leaks import secret_places
from adapters.signals.patterns import MAX_CHARS, PatternClassifier

OVERLAP = 512
"""Characters that two neighbouring parts of a long text share, so that no wording is cut in two."""


class Rules:
    """Looks at the whole of a text, however long, part by part.

    Args:
        injections: scores a part; `adapters.signals` says what it knows, and what it does not.
    """

    def __init__(self, injections: PatternClassifier | None = None) -> None:
        self._injections = injections or PatternClassifier()

    def __call__(self, direction: Direction, text: str) -> Found:
        """Return what a text shows. Answers are not searched for injections: nobody asks anything there."""
        score = max(map(self._injections, _parts(text)), default=0.0) if direction == "prompt" else 0.0
        return Found(score, tuple(_places(text)))


def _places(text: str) -> Iterator[Place]:
    reading = Reading(text)
    for start, end in secret_places(reading.plain):
        yield Place(*reading.back(start, end), "secrets", "credential")
    for start, end, kind in personal_places(reading.plain):
        yield Place(*reading.back(start, end), "personal", kind)


def _parts(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text) - OVERLAP), MAX_CHARS - OVERLAP):
        yield text[start : start + MAX_CHARS]
