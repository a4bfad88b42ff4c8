"""Prompt injection and jailbreaks by their wording: a rules engine, and the place where a better classifier goes.

It knows common wordings in English (`adapters.signals.wordings`), and the commonest one in German, French and Spanish;
it looks through letter case, invisible characters, look-alike letters, spaced-out words and base64. Whoever knows the
rules writes around them, and a text *about* such prompts is held to be one. So it is one signal among others, compared
with what peers' queries score, and never a filter.
"""

import re
import unicodedata
from base64 import b64decode
from collections.abc import Sequence
from typing import Protocol

from adapters.signals.wordings import RULES, Rule

MAX_CHARS = 4096
"""Of a query that are looked at, half from its beginning and half from its end."""

SUSPECT = 0.5
"""From this score on a query counts as an attempt."""

_CODED = re.compile(r"[A-Za-z0-9+/]{24,2048}={0,2}")
_SPACED = re.compile(r"\b(?:\w[ _.*-]){4,64}\w\b")
_MOST_DECODED = 4
_LOOK_ALIKE = str.maketrans("аеорсухіѕοαερ", "aeopcyxisoaep")

_SENTENCES = {0xFDFA: " ", 0xFDFB: " "}
"""Single characters whose plain form is a sentence: a text of them would become many times as long."""
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
_TAGS = 0xE0000
"""From here on every ASCII character stands once more, unseen; some models read them."""


class Classifier(Protocol):
    """Says how much a query looks like an attempt at prompt injection. A model of your own fits here."""

    def __call__(self, text: str) -> float:
        """Return a score in [0, 1]; `SUSPECT` and more counts as an attempt."""
        ...


class PatternClassifier:
    """Scores a text by the wordings that it has, as independent reasons: ``1 - prod(1 - weight)``.

    Args:
        rules: the wordings.
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = tuple(rules)

    def __call__(self, text: str) -> float:
        """Return the score of a text, 0 for one without any of the wordings."""
        unlike = 1.0
        for rule in self._found(text):
            unlike *= 1.0 - rule.weight
        return 1.0 - unlike

    def kinds(self, text: str) -> tuple[str, ...]:
        """Return the kinds of wordings that a text has."""
        return tuple(rule.name for rule in self._found(text))

    def _found(self, text: str) -> list[Rule]:
        readings = _readings(text)
        return [rule for rule in self._rules if any(_is_in(rule, reading) for reading in readings)]


def _is_in(rule: Rule, reading: str) -> bool:
    return any(part in reading for part in rule.needs) and rule.pattern.search(reading) is not None


def _readings(text: str) -> list[str]:
    """Return a text as a model may read it: plain, with spaced-out words put together, and what base64 hides."""
    half = MAX_CHARS // 2
    shown = text if len(text) <= MAX_CHARS else f"{text[:half]}\n{text[-half:]}"
    plain = _plain(shown)
    together = _SPACED.sub(lambda match: re.sub(r"[ _.*-]", "", match[0]), plain)
    hidden = [_plain(found) for coded in _CODED.findall(shown)[:_MOST_DECODED] if (found := _decoded(coded))]
    tagged = "".join(chr(ord(char) - _TAGS) for char in shown if _TAGS + 0x20 <= ord(char) < _TAGS + 0x7F)
    return [plain, *([together] if together != plain else []), *hidden, *([_plain(tagged)] if tagged else [])]


def _plain(text: str) -> str:
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_SENTENCES))
    if not folded.isascii():
        folded = "".join(char for char in folded if not _is_unseen(char))
    return re.sub(r"[^\S\n]+", " ", folded.casefold().translate(_LOOK_ALIKE))


def _is_unseen(char: str) -> bool:
    return char in _FILLERS or unicodedata.category(char) in ("Cf", "Me", "Mn")


def _decoded(coded: str) -> str:
    whole = coded.rstrip("=")
    try:
        return b64decode(whole + "=" * (-len(whole) % 4), validate=True).decode("ascii")
    except ValueError:
        return ""
