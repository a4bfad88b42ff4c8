"""Carry out what policy wants with `adapters.gateway.content`, and take whatever goes wrong there for a no."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adapters.gateway.content import ContentJudge, carried_out, tags
from adapters.gateway.interfaces import Direction, Terms
from adapters.gateway.proxy.shaping import Redactor, Unshapable

Result = TypeVar("Result")


class Contents:
    """Shapes content. Implements `adapters.gateway.proxy.shaping.Shaper`.

    Args:
        judge: finds what is to be blacked out.
    """

    can_redact = True

    def __init__(self, judge: ContentJudge) -> None:
        self._judge = judge

    def redacted(self, terms: Terms, direction: Direction, text: str) -> str:
        """Return a text with places blacked out.

        Raises:
            Unshapable: a classifier failed.
        """
        return _done(lambda: self._judge.redacted(terms, direction, text))

    def redactor(self, terms: Terms, direction: Direction) -> Redactor:
        """Return what blacks out places of one text that comes piece by piece."""
        return _Redactor(self._judge.redactor(terms, direction))

    def shaped(self, terms: Terms, document: Any) -> Any:
        """Return the JSON of an answer, or of an event of one, as the terms want it.

        Raises:
            Unshapable: it has not the form in which that could be done.
        """
        return _done(lambda: carried_out(terms, document))

    def tags(self, terms: Terms) -> Mapping[str, str]:
        """Return the headers that an answer bears."""
        return tags(terms)


class _Redactor:
    """A redactor whose failures are a no."""

    def __init__(self, inner: Redactor) -> None:
        self._inner = inner

    def push(self, text: str) -> str:
        """Take a piece, and return what may go on by now."""
        return _done(lambda: self._inner.push(text))

    def end(self) -> str:
        """Return the rest."""
        return _done(self._inner.end)


def _done(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except Exception as error:
        # Classifiers are somebody else's: whatever they raise, what they looked at may not pass.
        raise Unshapable(type(error).__name__) from error
