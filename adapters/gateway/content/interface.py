"""What looks at content: a classifier says how much of an injection a text is, and where what may not be shown lies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from adapters.gateway.interfaces import Direction

Group = Literal["secrets", "personal"]
"""What is blacked out together."""

MAX_KINDS = 32
"""Kinds of personal data that are told apart; `controlplane.contracts.content` takes no more."""


_KIND = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a text something lies that may have to be blacked out.

    Attributes:
        start: first character.
        end: the one after the last.
        group: what it is blacked out with.
        kind: of it, such as ``iban``: lower case, digits and underscores.
    """

    start: int
    end: int
    group: Group
    kind: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a classifier found in a text.

    Attributes:
        injection: score of prompt injection or jailbreak in [0, 1].
        places: what lies where.
    """

    injection: float = 0.0
    places: Sequence[Place] = ()


class Classifier(Protocol):
    """Looks at a text. Rules ship (`adapters.gateway.content.rules`); a model of your own fits here.

    It is asked outside the event loop, from several threads at once, and must not remember what it saw. Whatever it
    raises, or takes too long for, lets nothing pass.
    """

    def __call__(self, direction: Direction, text: str, /) -> Found:
        """Return what a text shows."""
        ...


class Misread(ValueError):  # noqa: N818 - named for what happened
    """A classifier answered what cannot be: the content counts as one that nobody looked at."""


def joined(found: Sequence[Found], text: str) -> Found:
    """Return what several classifiers found in a text as one: the highest score, and every place.

    Raises:
        Misread: a score or a place cannot be.
    """
    for one in found:
        if isinstance(one.injection, bool) or not isinstance(one.injection, int | float):
            raise Misread("a score is no number")
        if not 0.0 <= one.injection <= 1.0:
            raise Misread("a score is no share")
        for place in one.places:
            if not 0 <= place.start < place.end <= len(text) or place.group not in ("secrets", "personal"):
                raise Misread("a place lies outside the text, or is of no known group")
            if not _KIND.fullmatch(place.kind):
                raise Misread("a kind of place is no word")
    score = max((float(one.injection) for one in found), default=0.0)
    return Found(score, sorted({place for one in found for place in one.places}, key=lambda one: (one.start, one.end)))


def counted(places: Sequence[Place]) -> tuple[int, Mapping[str, int]]:
    """Return how many places look like credentials, and how many like personal data, by kind.

    Beyond `MAX_KINDS` kinds, the rest is counted as ``other``.
    """
    personal: dict[str, int] = {}
    for place in places:
        if place.group == "personal":
            kind = place.kind if place.kind in personal or len(personal) < MAX_KINDS - 1 else "other"
            personal[kind] = personal.get(kind, 0) + 1
    return sum(place.group == "secrets" for place in places), personal
