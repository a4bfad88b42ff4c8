"""The decision log: durable before a decision is given out, and fast because it commits in groups."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Self

from controlplane.audit.errors import AuditUnavailable
from controlplane.audit.interfaces import AuditObserver, RecordStore, Row, Spans, Unobserved
from controlplane.audit.reading import read_record
from controlplane.contracts.decision import DecisionRecord

_log = logging.getLogger("ztfm.audit")

_Waiting = tuple[Row, "asyncio.Future[None]", object]

_CUT_OFF = "the control plane is stopping"


class AuditLog:
    """Records decisions. What arrives while a commit is under way goes into the next one together.

    An asynchronous context: it takes records between entering and leaving, and leaves none behind.

    Args:
        store: keeps the records.
        observer: counts commits and losses.
        group: records that go into one commit at most.
        queue: records that may wait at most; above that a decision is refused rather than delayed.
        spans: traces commits; none does not.
    """

    def __init__(
        self,
        store: RecordStore,
        observer: AuditObserver | None = None,
        *,
        group: int = 256,
        queue: int = 16_384,
        spans: Spans | None = None,
    ) -> None:
        if group < 1 or queue < 1:
            raise ValueError("a group and a queue hold at least one record")
        self._store = store
        self._observer = observer or Unobserved()
        self._group = group
        self._queue = queue
        self._spans = spans
        # A commit is of many: what is bound to the request that began it is not to be found with the others'.
        self._own_context = copy_context()
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._is_open = False
        self._is_traced = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """Records that wait for a commit."""
        return len(self._waiting)

    async def record(
        self, decision_id: str, time: float, action: str, subject: str, outcome: str, document: bytes
    ) -> None:
        """Return once the record is durable.

        Args:
            decision_id: the decision's identifier; recording one twice is a fault.
            time: Unix seconds.
            action: what was decided on.
            subject: who asked.
            outcome: allow, deny or error.
            document: the whole `DecisionRecord` as JSON.

        Raises:
            AuditUnavailable: it could not be kept; the decision must not be given out.
        """
        if not self._is_open:
            raise AuditUnavailable("the decision log is not open; the control plane is starting or stopping")
        if len(self._waiting) >= self._queue:
            self._observer.lost(1)
            raise AuditUnavailable(
                f"{self._queue} records wait for the store already; it is slower than decisions come"
            )
        done = asyncio.get_running_loop().create_future()
        within = None if self._spans is None else self._spans.current()
        self._waiting.append(((decision_id, time, action, subject, outcome, document), done, within))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), context=self._own_context.copy())
        await done

    async def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a recorded decision, or none.

        Raises:
            AuditUnavailable: the stored record is damaged.
        """
        document = await self._store.get(decision_id)
        if document is None:
            return None
        return read_record(decision_id, document)

    async def close(self) -> None:
        """Take no more records, and return when those that wait are durable or refused."""
        self._is_open = False
        if self._writer is not None:
            # Whoever gives up waiting for the end must not cut the last commit off.
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        try:
            while self._waiting:
                size = min(self._group, len(self._waiting))
                await self._commit([self._waiting.popleft() for _ in range(size)])
        finally:
            self._writer = None
            left = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if left:
                self._answer(left, _CUT_OFF)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        why = _CUT_OFF
        try:
            with self._tracing(group):
                await self._store.add_many([row for row, _, _ in group])
            why = ""
            self._is_traced = False
        except Exception as fault:  # noqa: BLE001 - every caller of the group gets it, as a refusal to go on
            why = str(fault) or type(fault).__name__
            # Of a fault that lasts, one trace says all: the log may lie on the disk that is full.
            known = None if self._is_traced else fault
            _log.error("%d decisions could not be recorded and are not given out: %s", len(group), why, exc_info=known)
            self._is_traced = True
        finally:
            self._answer(group, why)

    def _tracing(self, group: Sequence[_Waiting]) -> AbstractContextManager[object]:
        if self._spans is None:
            return nullcontext()
        return self._spans.carrying("commit decisions", (within for _, _, within in group))

    def _answer(self, group: Sequence[_Waiting], why: str) -> None:
        for _, done, _ in group:
            if done.done():
                continue
            if why:
                done.set_exception(AuditUnavailable(f"the decision could not be recorded: {why}"))
            else:
                done.set_result(None)
        if why:
            self._observer.lost(len(group))
        else:
            self._observer.wrote(len(group))
