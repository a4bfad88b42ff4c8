"""Sentence templates of the public Home Assistant intents, and random sentences drawn from one template.

Source: the package ``home-assistant-intents`` (English), parsed with ``hassil``. A template is one sentence
pattern; everything that it can expand to stays together, so that a split by template tests new wording.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    TextChunk,
)
from hassil.intents import IntentData, Intents, RangeSlotList, SlotList, TextSlotList
from hassil.util import normalize_whitespace
from home_assistant_intents import get_intents

from evaluation.smart_home.household import slot_lists

TRIES_PER_SENTENCE = 4


@dataclass(frozen=True)
class Template:
    """One sentence pattern of one intent, with the rules and slot values that complete it.

    Attributes:
        intent: the label, such as ``HassTurnOn``.
        pattern: the pattern's text, which identifies the template together with its position.
        expression: the parsed pattern.
        rules: expansion rules by name.
        lists: slot lists by name.
    """

    intent: str
    pattern: str
    expression: Expression
    rules: Mapping[str, Sentence]
    lists: Mapping[str, SlotList]

    def sentences(self, count: int, random: Random) -> list[str]:
        """At most ``count`` distinct sentences; fewer when the pattern has little variety."""
        found: dict[str, None] = {}
        for _ in range(count * TRIES_PER_SENTENCE):
            found.setdefault(normalize_whitespace(self._draw(self.expression, random)).strip())
            if len(found) == count:
                break
        return [text for text in found if text]

    def _draw(self, expression: Expression, random: Random) -> str:
        if isinstance(expression, TextChunk):
            return str(expression.original_text)
        if isinstance(expression, ListReference):
            return self._draw_value(expression.list_name, random)
        if isinstance(expression, RuleReference):
            return self._draw(self.rules[expression.rule_name].expression, random)
        if isinstance(expression, Alternative):
            return self._draw(random.choice(expression.items), random)
        if isinstance(expression, Permutation):
            return " ".join(self._draw(item, random) for item in random.sample(expression.items, len(expression.items)))
        if isinstance(expression, Group):
            return "".join(self._draw(item, random) for item in expression.items)
        raise TypeError(f"unknown template expression {type(expression).__name__}")

    def _draw_value(self, name: str, random: Random) -> str:
        values = self.lists[name]
        if isinstance(values, RangeSlotList):
            return f"{random.choice(list(values.get_numbers())):g}"
        if isinstance(values, TextSlotList):
            return self._draw(random.choice(values.values).text_in, random)
        raise TypeError(f"slot list {name} has no values")


def english_templates() -> list[Template]:
    """Every English template in the package's own order.

    Raises:
        RuntimeError: the package holds no English intents.
    """
    document = get_intents("en")
    if document is None:
        raise RuntimeError("home-assistant-intents ships no English sentences")
    intents = Intents.from_dict(document)
    return [
        template
        for name, intent in sorted(intents.intents.items())
        for block in intent.data
        for template in _block_templates(name, block, intents)
    ]


def _block_templates(intent: str, block: IntentData, intents: Intents) -> list[Template]:
    required = block.requires_context.get("domain", ())
    domains = [required] if isinstance(required, str) else list(required)
    rules = {**intents.expansion_rules, **block.expansion_rules}
    lists = {**intents.slot_lists, **slot_lists(domains), **block.slot_lists}
    return [Template(intent, sentence.text or "", sentence.expression, rules, lists) for sentence in block.sentences]
