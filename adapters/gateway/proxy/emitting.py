"""A running answer as the client gets it: shaped, and with places blacked out."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy import documents
from adapters.gateway.proxy.careful import Careful
from adapters.gateway.proxy.endpoints import Answers, Place, changed
from adapters.gateway.proxy.shaping import Redactor, Shaper, Unshapable, changes
from adapters.serversent import ServerEvent

One = TypeVar("One")

MOST_PLACES = 256
"""At which texts of one answer may run side by side."""


class Emitter:
    """Makes of each event what the client gets.

    Where terms want places blacked out from the start, texts run behind by as much as the redactor keeps back; else
    each runs a word behind (`Careful`), if anything can be blacked out at all.

    Args:
        terms: that hold from the start.
        shaper: carries them out.
        answers: how events are read.
        is_judged: all of the answer was looked at already, so that nothing is found that was not decided on.

    Attributes:
        is_tagged: the answer bears its tag in a header, so that no part of it has to.
    """

    def __init__(self, terms: Terms, shaper: Shaper, answers: Answers, *, is_judged: bool = False) -> None:
        self.is_tagged = False
        self._strict = terms if terms.redact else None
        self._is_careful = self._strict is None and shaper.can_redact and not is_judged
        self._shaper = shaper
        self._answers = answers
        self._redactors: dict[Place, Redactor] = {}
        self._careful: dict[Place, Careful] = {}
        self._last: dict[Place, tuple[ServerEvent, Any]] = {}

    def notices(self, place: Place, text: str) -> bool:
        """Take a text before its event; return whether there is anything that policy may want blacked out.

        Raises:
            Unshapable: texts run at too many places.
        """
        if not self._is_careful:
            return False
        return _at(self._careful, place, lambda: Careful(self._redacted)).add(text)

    def is_doubtful(self, terms: Terms) -> bool:
        """Whether something waits for policy's word, which these terms are not yet."""
        return any(one.is_doubtful(terms) for one in self._careful.values())

    def made(self, event: ServerEvent, document: Any, terms: Terms, *, is_last: bool = False) -> ServerEvent:
        """Return an event by the terms that hold now; one whose data is no JSON has none for its document.

        Args:
            event: as it came.
            document: its data.
            terms: that hold now.
            is_last: nothing more comes where its texts stand, so that nothing of them is kept back.

        Raises:
            Unshapable: it cannot be made so.
        """
        if document is None:
            if changes(terms) or self._lacks_tag(terms):
                raise Unshapable("an event is no JSON")
            return ServerEvent(event.name, self._pushed((), event.data, terms, is_last=is_last), event.id)
        if not isinstance(document, dict) and self._lacks_tag(terms):
            raise Unshapable("an event is no object that could bear a tag")
        named = self._answers.names(document) if terms.redact else ""
        if self._redacted(terms, named) != named:
            raise Unshapable("a name of a member is to be blacked out")
        found = self._shaper.shaped(terms, document)
        if self._strict is not None or self._is_careful:
            # They would show already what is kept back.
            found = documents.dropped(found, self._answers.repeating)
            self._last.update((place, (event, found)) for place, _text in self._answers.texts(found))
            found = changed(
                found, lambda place, text: self._pushed(place, text, terms, is_last=is_last), self._answers.without
            )
        return ServerEvent(event.name, documents.written(found).decode(), event.id)

    def text(self, text: str, terms: Terms) -> str:
        """Return what goes on of a text that is no event.

        Raises:
            Unshapable: it cannot be made so.
        """
        if changes(terms) or self._lacks_tag(terms):
            raise Unshapable("a text has neither numbers nor labels, and bears no tag")
        return self._pushed((), text, terms, is_last=False)

    def rest(self, terms: Terms, besides: Collection[Place] = ()) -> Sequence[ServerEvent]:
        """Return what was kept back, in events like the last of its place.

        Args:
            terms: that hold now.
            besides: places where more comes.

        Raises:
            Unshapable: it cannot be made so.
        """
        kept = [(place, one.end()) for place, one in self._redactors.items() if place not in besides]
        kept += [(place, one.end(terms)) for place, one in self._careful.items() if place not in besides]
        return [self._like_last(place, text) for place, text in kept if text]

    def rest_of_text(self, terms: Terms) -> str:
        """Return what was kept back of a text that is no event.

        Raises:
            Unshapable: it cannot be made so, or bears no tag though policy wants one.
        """
        if self._lacks_tag(terms):
            raise Unshapable("a text bears no tag")
        return "".join(event.data for event in self.rest(terms))

    def _lacks_tag(self, terms: Terms) -> bool:
        return terms.watermark is not None and not self.is_tagged

    def _like_last(self, place: Place, text: str) -> ServerEvent:
        if place not in self._last:
            return ServerEvent("message", text, None)
        event, document = self._last[place]
        said = changed(document, lambda at, _text: text if at == place else "", self._answers.without)
        return ServerEvent(event.name, documents.written(said).decode(), event.id)

    def _pushed(self, place: Place, text: str, terms: Terms, *, is_last: bool) -> str:
        if not text:
            return text
        if self._strict is not None:
            strict = self._strict
            redactor = _at(self._redactors, place, lambda: self._shaper.redactor(strict, "answer"))
            return redactor.push(text) + (redactor.end() if is_last else "")
        careful = self._careful.get(place)
        if careful is None:
            return text
        return careful.end(terms) if is_last else careful.release(terms)

    def _redacted(self, terms: Terms, text: str) -> str:
        return self._shaper.redacted(terms, "answer", text) if terms.redact else text


def _at(known: dict[Place, One], place: Place, make: Callable[[], One]) -> One:
    if place not in known:
        if len(known) >= MOST_PLACES:
            raise Unshapable("texts run at too many places")
        known[place] = make()
    return known[place]
