"""What a target of fuzzing is, and what its parser may do with any bytes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from controlplane.attestation.interface import EvidenceRefused


class NotTaken(Exception):  # noqa: N818 - named for what happened
    """A parser said in its answer, not by an exception, that it does not take these bytes."""


@dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        take: gives it bytes; it may return anything, or raise one of ``refuses``, and nothing else.
        seeds: bytes that it accepts.
        refuses: the exceptions by which it says that it does not take some bytes.
    """

    take: Callable[[bytes], object]
    seeds: list[bytes]
    refuses: tuple[type[Exception], ...] = field(default=())

    def try_one(self, data: bytes) -> bool:
        """Whether the parser accepts some bytes; what it must not raise goes through."""
        try:
            self.take(data)
        except EvidenceRefused as refused:
            assert refused.cause and refused.words
            return False
        except (NotTaken, *self.refuses):
            return False
        return True


def taken(answer: object) -> object:
    """Return what a parser found.

    Raises:
        NotTaken: it answered with none, a word, or a refusal.
    """
    from adapters.web.answering import Refusal
    from controlplane.capabilities.refusals import Refused

    if answer is None or isinstance(answer, (Refusal, Refused, str)):
        raise NotTaken(answer)
    return answer


def text_of(data: bytes) -> str:
    """Return bytes as the text that a header or a JSON string would hold; nothing is lost, and nothing is refused."""
    return data.decode("latin-1")


def pairs_of(data: bytes) -> list[tuple[str, str]]:
    """Return lines ``name: value`` as pairs, as a server hands on header lines."""
    lines = (line.partition(": ") for line in text_of(data).split("\n") if line)
    return [(name, value) for name, _, value in lines]


def headers_of(data: bytes) -> dict[str, list[str]]:
    """Return lines ``name: value`` with all values of a name, which is in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in pairs_of(data):
        found.setdefault(name.lower(), []).append(value)
    return found


def at_once(work: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("it waits for something")
