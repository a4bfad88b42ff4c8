"""What policy wants done with a content that may pass, and who does it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from adapters.gateway.interfaces import Direction, Terms
from adapters.web.admission import Admitted


class Unshapable(Exception):  # noqa: N818 - says what the answer is
    """What policy wants done cannot be done to this content; it may not pass."""


class Redactor(Protocol):
    """Blacks out places of a text that comes piece by piece, wherever it is cut."""

    def push(self, text: str) -> str:
        """Take a piece, and return what may go on by now."""
        ...

    def end(self) -> str:
        """Return the rest."""
        ...


class Shaper(Protocol):
    """Does to content what policy wants done with it.

    Attributes:
        can_redact: it can black out places.
    """

    can_redact: bool

    def redacted(self, terms: Terms, direction: Direction, text: str) -> str:
        """Return a text with places blacked out.

        Raises:
            Unshapable: it cannot.
        """
        ...

    def redactor(self, terms: Terms, direction: Direction) -> Redactor:
        """Return what blacks out places of one text that comes piece by piece.

        Raises:
            Unshapable: it cannot.
        """
        ...

    def shaped(self, terms: Terms, document: Any) -> Any:
        """Return the JSON of an answer, or of an event of one: numbers coarser or gone, labels alone, with a tag.

        Raises:
            Unshapable: the document is none in which that can be done.
        """
        ...

    def tags(self, terms: Terms) -> Mapping[str, str]:
        """Return the headers that an answer bears."""
        ...


class Withholding:
    """Can do nothing to content: whatever policy wants changed does not pass."""

    can_redact = False

    def redacted(self, terms: Terms, _direction: Direction, text: str) -> str:
        """Return a text of which nothing is to be blacked out."""
        if terms.redact:
            raise Unshapable("nothing is blacked out here")
        return text

    def redactor(self, terms: Terms, direction: Direction) -> Redactor:
        """Nothing is blacked out here."""
        raise Unshapable("nothing is blacked out here")

    def shaped(self, terms: Terms, document: Any) -> Any:
        """Return a document of which nothing is to be changed."""
        if changes(terms) or terms.watermark is not None:
            raise Unshapable("nothing is changed here")
        return document

    def tags(self, terms: Terms) -> Mapping[str, str]:
        """Return no header, for no tag."""
        if terms.watermark is not None:
            raise Unshapable("nothing is tagged here")
        return {}


def changes(terms: Terms) -> bool:
    """Whether terms ask for a change of an answer's numbers or members, which only JSON has."""
    return terms.decimals is not None or bool(terms.suppress) or terms.label_only


def of_metadata(terms: Terms) -> Terms:
    """Return what remains of terms for what a model says of itself: there are no probabilities, and no label."""
    return replace(terms, decimals=None, suppress=frozenset(), label_only=False)


def initial(admitted: Admitted, prompt: Terms) -> Terms:
    """Return the terms of an answer before anybody has looked at it: those of its prompt, and of the capability.

    What is blacked out of a prompt is so in its answer, which may repeat it.
    """
    return replace(prompt, label_only=prompt.label_only or not admitted.shows_detail)


def stricter(one: Terms, other: Terms) -> Terms:
    """Return what both want; the later decision is named."""
    decimals = [terms.decimals for terms in (one, other) if terms.decimals is not None]
    outputs = [terms.max_output_tokens for terms in (one, other) if terms.max_output_tokens is not None]
    rates = [terms.requests_per_minute for terms in (one, other) if terms.requests_per_minute is not None]
    return Terms(
        other.decision or one.decision,
        one.redact | other.redact,
        min(decimals, default=None),
        one.suppress | other.suppress,
        other.watermark or one.watermark,
        min(rates, default=None),
        min(outputs, default=None),
        one.label_only or other.label_only,
    )
