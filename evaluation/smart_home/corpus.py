"""The labelled sentences of the task: a capped, balanced draw from every template, fixed by a seed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from evaluation.smart_home.templates import Template, english_templates

SENTENCES_PER_INTENT = 80
TEMPLATES_PER_INTENT = 16
FEWEST_SENTENCES = 8
FEWEST_TEMPLATES = 2


@dataclass(frozen=True)
class Sentence:
    """One labelled sentence: its text, its intent's index, and the index of the template that it came from."""

    text: str
    label: int
    template: int


@dataclass(frozen=True)
class Corpus:
    """All sentences of the task.

    Attributes:
        intents: label names; a sentence's label indexes them.
        sentences: no text occurs twice.
        left_out: intents without two templates, or with too few sentences, and the reason for each.
    """

    intents: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    left_out: Mapping[str, str]

    def digest(self) -> str:
        """SHA-256 over texts, labels and templates, as 64 hexadecimal digits."""
        lines = "\n".join(f"{s.label}\t{s.template}\t{s.text}" for s in self.sentences)
        return hashlib.sha256(f"{self.intents}\n{lines}".encode()).hexdigest()


def build_corpus(
    seed: int = 0, per_intent: int = SENTENCES_PER_INTENT, templates_per_intent: int = TEMPLATES_PER_INTENT
) -> Corpus:
    """Draw about ``per_intent`` sentences for each intent, spread evenly over its templates.

    An intent that one template alone expresses cannot be learnt on one template and tested on another, so it
    is left out and named in ``left_out``; so is one with fewer than eight sentences. A text that two intents
    share is dropped from both, for it has no right label.
    """
    by_intent: dict[str, list[tuple[int, Template]]] = {}
    for index, template in enumerate(english_templates()):
        by_intent.setdefault(template.intent, []).append((index, template))
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    drawn = {
        intent: _draw(templates, per_intent, templates_per_intent, random) for intent, templates in by_intent.items()
    }
    _drop_shared(drawn)
    left_out = {intent: reason for intent, found in drawn.items() if (reason := _reason_to_leave_out(found))}
    intents = tuple(sorted(set(drawn) - set(left_out)))
    sentences = tuple(
        Sentence(text, label, template)
        for label, intent in enumerate(intents)
        for text, template in drawn[intent].items()
    )
    return Corpus(intents, sentences, left_out)


def _draw(
    templates: Sequence[tuple[int, Template]], per_intent: int, most_templates: int, random: Random
) -> dict[str, int]:
    """At most ``per_intent`` texts of one intent, each with its template; templates take turns."""
    chosen = random.sample(list(templates), min(len(templates), most_templates))
    pools = [(index, template.sentences(per_intent, random)) for index, template in chosen]
    found: dict[str, int] = {}
    for turn in range(per_intent):
        for index, pool in pools:
            if turn < len(pool) and len(found) < per_intent:
                found.setdefault(pool[turn], index)
    return found


def _drop_shared(drawn: Mapping[str, dict[str, int]]) -> None:
    owners: dict[str, list[str]] = {}
    for intent, found in drawn.items():
        for text in found:
            owners.setdefault(text, []).append(intent)
    for text, intents in owners.items():
        if len(intents) > 1:
            for intent in intents:
                del drawn[intent][text]


def _reason_to_leave_out(found: Mapping[str, int]) -> str:
    if len(set(found.values())) < FEWEST_TEMPLATES:
        return "a single template"
    if len(found) < FEWEST_SENTENCES:
        return "too few sentences"
    return ""
