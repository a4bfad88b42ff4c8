"""Content as evidence: what prompts and answers show, what policy wants done with them, and doing it.

What a proxy does with it::

    judge = ContentJudge(plane, load_classifiers(["rules"]))  # adapters.gateway.interfaces.Judge
    terms = await judge.judge(admitted, "prompt", texts)      # numbers, as a JSON list, count as a text
    text = judge.redacted(terms, "prompt", text)              # each text that goes on
    document = carried_out(terms, document)                   # a whole JSON answer, or one event of a stream
    headers |= tags(terms)                                    # ZTFM-Watermark
    stream = judge.redactor(terms, "answer")                  # of one place in a stream: push(text), then end()

A denial is a value (`adapters.gateway.interfaces.Denied`); what cannot be carried out raises `NotCarriedOut`, and then
nothing of the answer may pass. See docs/gateway-content.md.
"""

from adapters.gateway.content.carrying import NotCarriedOut, carried_out, tags
from adapters.gateway.content.interface import Classifier, Found, Place
from adapters.gateway.content.judge import ContentJudge
from adapters.gateway.content.plugging import ClassifierUnusable, load_classifiers
from adapters.gateway.content.redacting import StreamRedactor, redacted
from adapters.gateway.content.rules import Rules

__all__ = [
    "Classifier",
    "ClassifierUnusable",
    "ContentJudge",
    "Found",
    "NotCarriedOut",
    "Place",
    "Rules",
    "StreamRedactor",
    "carried_out",
    "load_classifiers",
    "redacted",
    "tags",
]
