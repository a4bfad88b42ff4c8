"""Traces: what a request passes through, as spans. Nothing is recorded, or imported, while nobody wants them.

`telemetry.otlp` records them with OpenTelemetry. The floors that must not know it are handed an object that fits a
protocol of their own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from controlplane.contracts.decision import Decision

Attributes = Mapping[str, str | int]
"""What is said of a span. Never a token, a body, or the name of a device."""

NONE: Attributes = MappingProxyType({})
NOTHING_SENT: Mapping[str, str] = MappingProxyType({})

_LONGEST = 512
_MOST_MEMBERS = 32
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?")
_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03
_WITH_NAMES_OF_CALLERS = "other"


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of a caller that a request says it belongs to (W3C Trace Context).

    Attributes:
        trace_id: 128 bits, not zero.
        span_id: 64 bits, not zero.
        flags: those that are known: 1 for sampled, 2 for an id that is random.
        state: what others keep with the trace, by key, in order.
    """

    trace_id: int
    span_id: int
    flags: int
    state: tuple[tuple[str, str], ...] = ()

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records its part of the trace."""
        return bool(self.flags & _SAMPLED)


class Span(Protocol):
    """Something that is under way."""

    @property
    def is_recorded(self) -> bool:
        """Whether anybody will read what is noted."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Say something of it."""
        ...

    def failed(self, kind: str) -> None:
        """Say that it failed, and in what way; ``kind`` is one of few."""
        ...


class Tracing(Protocol):
    """Opens spans; what is opened within another belongs to it."""

    def current(self) -> object:
        """Return what is under way here, for `carrying`."""
        ...

    def request(self, name: str, parent: Parent | None, attributes: Attributes) -> AbstractContextManager[Span]:
        """Open the span of a request; the sampler says whether it is recorded."""
        ...

    def span(self, name: str, attributes: Attributes = NONE) -> AbstractContextManager[Span]:
        """Open a span within the current one; none is recorded where that is not."""
        ...

    def carrying(
        self, name: str, under_way: Iterable[object], attributes: Attributes = NONE
    ) -> AbstractContextManager[Span]:
        """Open a span for what is done for several at once: it belongs to the first that is recorded, and is linked.

        It has a link to each of them, and each of the others has one to it.

        Args:
            name: of the span.
            under_way: what `current` returned to each of them.
            attributes: of the span.
        """
        ...

    def outgoing(self) -> Mapping[str, str]:
        """Return the headers that tell whom we ask which span they are asked from."""
        ...


class NoSpan:
    """A span that nobody wants."""

    __slots__ = ()

    @property
    def is_recorded(self) -> bool:
        """It is not."""
        return False

    def note(self, attributes: Attributes) -> None:
        """Ignore it."""

    def failed(self, kind: str) -> None:
        """Ignore it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


NO_SPAN = NoSpan()


class Untraced:
    """Records nothing."""

    __slots__ = ()

    def current(self) -> object:
        """Return that nothing is traced."""
        return None

    def request(self, name: str, parent: Parent | None, attributes: Attributes) -> NoSpan:
        """Return a span that nobody wants."""
        return NO_SPAN

    def span(self, name: str, attributes: Attributes = NONE) -> NoSpan:
        """Return a span that nobody wants."""
        return NO_SPAN

    def carrying(self, name: str, under_way: Iterable[object], attributes: Attributes = NONE) -> NoSpan:
        """Return a span that nobody wants."""
        return NO_SPAN

    def outgoing(self) -> Mapping[str, str]:
        """Return no headers."""
        return NOTHING_SENT


UNTRACED = Untraced()


def read_parent(traceparents: Sequence[str], tracestates: Sequence[str] = ()) -> Parent | None:
    """Return the span that headers name; none where they name none, or not in the form of W3C Trace Context.

    What does not fit is ignored, and nothing of it is logged: anybody may send it.

    Args:
        traceparents: the ``traceparent`` headers of a request; more than one is none.
        tracestates: its ``tracestate`` headers, which are ignored as a whole where they do not fit.
    """
    if len(traceparents) != 1 or len(traceparents[0]) > _LONGEST:
        return None
    found = _PARENT.fullmatch(traceparents[0].strip(" \t"))
    # Version 00 ends here; later ones may go on, and ff is none (section 3.2.2.1).
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5] is not None):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, int(found[4], 16) & _KNOWN_FLAGS, _read_state(",".join(tracestates)))


def _read_state(text: str) -> tuple[tuple[str, str], ...]:
    members = [member for part in text[: _LONGEST + 1].split(",") if (member := part.strip(" \t"))]
    if len(text) > _LONGEST or len(members) > _MOST_MEMBERS:
        return ()
    found = [_MEMBER.fullmatch(member) for member in members]
    state = {one[1]: one[2] for one in found if one is not None}
    return tuple(state.items()) if len(state) == len(members) else ()


def said_of(package: str, decision: Decision) -> Attributes:
    """Return what a span says of a decision: nothing that leads to a subject but for whoever may read the record."""
    # Actions that are none of the product's have names that callers gave them.
    action = package if package == _WITH_NAMES_OF_CALLERS else decision.action
    return {
        "ztfm.decision.id": decision.id,
        "ztfm.decision.action": action,
        "ztfm.decision.outcome": decision.outcome,
        "ztfm.policy.revision": decision.policy_revision,
    }
