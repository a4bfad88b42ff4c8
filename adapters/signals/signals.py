"""What a gateway learns of how subjects use a model: queries go in, numbers by subject and window come out."""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from adapters.signals.fingerprints import TextFingerprints, VectorFingerprints
from adapters.signals.leaks import holds_secret
from adapters.signals.patterns import SUSPECT, Classifier, PatternClassifier
from adapters.signals.reading import MAX_BYTES, Query, Reader, read_query
from adapters.signals.use import Seen, Use
from controlplane.contracts.signals import InferenceSignals

WINDOW_SECONDS = 60.0
SUBJECTS = 4096
"""Subjects, by model, of which use is remembered, in 16 KB each at most."""

WAITING = 1024
"""Queries that wait to be looked at; what comes beyond them is dropped and counted."""

_BYTES_OF_TOKEN = 4
_log = logging.getLogger("ztfm.signals")


@dataclass(frozen=True, slots=True)
class _Waiting:
    subject: str
    model: str
    body: bytes | None
    query: Query | None
    prompt_tokens: int
    answer_tokens: int


class Signals:
    """Collects signals. `observe` and `observe_body` cost microseconds; `fold` looks at what waits, afterwards.

    No query is kept: it waits to be looked at, for a second or so, and leaves a fingerprint behind that it cannot be
    read from. Belongs to one thread.

    Args:
        window_seconds: length of a window, 1 to 3600 seconds; windows begin at multiples of it.
        classifier: says how much a text looks like an attempt at prompt injection.
        read: finds the query in a request's body.
        clock: Unix seconds.
        subjects: whose use is remembered at most; where room is lacking, it is that of who was silent longest.
        waiting: queries that wait at most.

    Attributes:
        dropped: queries that were not looked at, for lack of room.
        faults: queries of which the classifier or the reader could make nothing, with an exception; and windows of
            which nothing could be made that can be reported.
    """

    def __init__(
        self,
        *,
        window_seconds: float = WINDOW_SECONDS,
        classifier: Classifier | None = None,
        read: Reader = read_query,
        clock: Callable[[], float] = time.time,
        subjects: int = SUBJECTS,
        waiting: int = WAITING,
    ) -> None:
        if not 1.0 <= window_seconds <= 3600.0:
            raise ValueError("a window has 1 to 3600 seconds")
        self.dropped = 0
        self.faults = 0
        self._window_seconds = window_seconds
        self._classifier = classifier or PatternClassifier()
        self._read = read
        self._clock = clock
        self._subjects = subjects
        self._most_waiting = waiting
        self._waiting: deque[_Waiting] = deque()
        self._uses: OrderedDict[tuple[str, str], Use] = OrderedDict()
        self._texts, self._vectors = TextFingerprints(), VectorFingerprints()
        self._window = self._window_of(clock())

    def observe(
        self, subject: str, model: str, query: Query | None, *, prompt_tokens: int = 0, answer_tokens: int = 0
    ) -> None:
        """Take a query that was let through; none for one whose content is not to be looked at.

        Args:
            subject: who asked.
            model: what was asked.
            query: a text or a vector; it is not kept.
            prompt_tokens: its length; 0 for an estimate.
            answer_tokens: length of the answer.
        """
        estimated = prompt_tokens or (len(query) // (_BYTES_OF_TOKEN if isinstance(query, str) else 1) if query else 0)
        self._wait(_Waiting(subject, model, None, query, estimated, answer_tokens))

    def observe_body(self, subject: str, model: str, body: bytes, answer_bytes: int) -> None:
        """Take a request that was let through, as it came; tokens are estimated, four bytes each."""
        kept = body if len(body) <= MAX_BYTES else b""
        tokens, answered = len(body) // _BYTES_OF_TOKEN, answer_bytes // _BYTES_OF_TOKEN
        self._wait(_Waiting(subject, model, kept, None, tokens, answered))

    def fold(self, most: int) -> bool:
        """Look at up to ``most`` of the queries that wait, and return whether more do."""
        for _ in range(min(most, len(self._waiting))):
            one = self._waiting.popleft()
            self._use(one.subject, one.model).add(self._look(one))
        return bool(self._waiting)

    def due(self) -> list[InferenceSignals]:
        """Return the numbers of the window that has ended; empty while none has."""
        window = self._window_of(self._clock())
        if window == self._window:
            return []
        # However long nobody looked: what was folded since is of the last window, or of those shortly before.
        started_at = (window - 1) * self._window_seconds
        self._window = window
        found = []
        for (subject, model), use in self._uses.items():
            if use.queries:
                try:
                    found.append(use.close(subject, model, started_at, self._window_seconds))
                except ValueError as error:
                    # Of one whose name or numbers nobody would take; the others are reported.
                    self.faults += 1
                    _log.warning("a window cannot be reported: %s", type(error).__name__)
        return found

    def _wait(self, one: _Waiting) -> None:
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
        else:
            self._waiting.append(one)

    def _look(self, one: _Waiting) -> Seen:
        try:
            query = self._read(one.body) if one.body else one.query
            is_injection = isinstance(query, str) and self._classifier(query) >= SUSPECT
        except Exception as error:  # noqa: BLE001 - somebody else's code; counted and logged, and the query still counts
            self.faults += 1
            _log.warning("a query could not be looked at: %s", type(error).__name__)
            query, is_injection = None, False
        if isinstance(query, str):
            fingerprint, cells = self._texts(query)
            return Seen(fingerprint, cells, is_injection, holds_secret(query), one.prompt_tokens, one.answer_tokens)
        if query:
            fingerprint, cells = self._vectors(query)
            return Seen(fingerprint, cells, False, False, one.prompt_tokens, one.answer_tokens)
        return Seen(None, (), False, False, one.prompt_tokens, one.answer_tokens)

    def _use(self, subject: str, model: str) -> Use:
        name = (subject, model)
        use = self._uses.pop(name, None)
        if use is None:
            if len(self._uses) >= self._subjects:
                _, forgotten = self._uses.popitem(last=False)
                self.dropped += forgotten.queries
            use = Use(max(self._texts.space, self._vectors.space), self._clock())
        self._uses[name] = use
        return use

    def _window_of(self, now: float) -> int:
        return int(now // self._window_seconds)
