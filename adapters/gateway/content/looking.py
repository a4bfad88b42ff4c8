"""Having classifiers look at texts: beside the event loop, for a bounded time, of bounded texts."""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from adapters.gateway.content.interface import Classifier, Found, joined
from adapters.gateway.content.rules import Rules
from adapters.gateway.interfaces import Direction

INLINE_CHARS = 4096
"""Up to so many the rules look at in the event loop: a thread would cost as much."""

NUMBERS_CHARS = 16_384
"""Of a text that is a list of numbers: a picture has hundreds of thousands, and is no text."""

NUMBERS_OVERLAP = 64
_THREADS = 4
_NUMBERS = re.compile(r"\s*\[[\s\[\]0-9.,eE+-]*\]\s*")
_LONG_NUMBER = re.compile(r"(?<![\d.])\+?\d(?:[ -]?\d){8,}+")


def looked_at(texts: Sequence[str]) -> list[str]:
    """Return texts as they are looked at: of a list of numbers, the beginning, and what is as long as a person's."""
    return [_numbers(text) if len(text) > NUMBERS_CHARS and _NUMBERS.fullmatch(text) else text for text in texts]


def _numbers(text: str) -> str:
    return " , ".join([text[:NUMBERS_CHARS], *_LONG_NUMBER.findall(text, NUMBERS_CHARS - NUMBERS_OVERLAP)])


class TooLong(ValueError):  # noqa: N818 - named for what happened
    """More text than is looked at; what nobody looked at must not pass."""


class Busy(Exception):  # noqa: N818 - a state
    """As many texts wait to be looked at as may, or nobody looked in time."""


class Looking:
    """Looks at texts with every classifier.

    Args:
        classifiers: all of which look at every text.
        max_chars: of all texts together.
        seconds: for looking, waiting for a thread included.
        at_once: texts that may wait or be looked at; a classifier that hangs takes up its place until it ends.

    Raises:
        ValueError: no classifier.
    """

    def __init__(self, classifiers: Sequence[Classifier], max_chars: int, seconds: float, at_once: int) -> None:
        if not classifiers:
            raise ValueError("without a classifier nobody looks at content")
        self._classifiers = tuple(classifiers)
        self._max_chars, self._seconds, self._room = max_chars, seconds, at_once
        self._is_quick = all(type(one) is Rules for one in classifiers)
        self._pool = ThreadPoolExecutor(_THREADS, "ztfm-content")

    def close(self) -> None:
        """Let go of the threads, once what they do is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def at(self, direction: Direction, text: str) -> Found:
        """Return what a text shows; at once, in this thread.

        Raises:
            Misread: a classifier answered what cannot be.
            Exception: whatever a classifier raises.
        """
        return joined([classifier(direction, text) for classifier in self._classifiers], text)

    async def at_all(self, direction: Direction, texts: Sequence[str]) -> list[Found]:
        """Return what each text shows, and last what those of a prompt show as one.

        A model reads an order that is cut in parts as a whole. Places in the last one say nothing: they are counted
        in the others.

        Raises:
            TooLong: they are longer than what is looked at.
            Busy: nobody looked in time.
            Exception: whatever a classifier raises.
        """
        size = sum(map(len, texts))
        if size > self._max_chars:
            raise TooLong(f"at most {self._max_chars} characters are looked at")
        texts = [*texts, " ".join(texts)] if direction == "prompt" and len(texts) > 1 else texts
        if self._is_quick and size <= INLINE_CHARS:
            return [self.at(direction, text) for text in texts]
        if self._room <= 0:
            raise Busy("too many texts wait to be looked at")
        self._room -= 1
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: [self.at(direction, text) for text in texts]
        )
        work.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._seconds)
        except TimeoutError:
            raise Busy(f"nobody looked at it within {self._seconds:g} s") from None

    def _done(self, work: "asyncio.Future[list[Found]]") -> None:
        self._room += 1
        if not work.cancelled():
            # Whoever waited may have gone: what it raised is nobody's then.
            work.exception()
