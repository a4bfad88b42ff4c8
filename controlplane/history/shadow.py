"""A candidate decides what the live policy has decided, afterwards and without effect; differences are counted."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from controlplane.contracts.decision import Decision
from controlplane.contracts.shadow import ShadowCounts, ShadowGroup
from controlplane.decisions.decider import conclude
from controlplane.decisions.engine import Answer, PolicyEngine
from controlplane.history.changes import Comparison
from controlplane.history.records import Recorded

CAPACITY = 4096
"""Decisions that wait for the candidate; at 2 to 6 KB of facts each, in at most some 20 MB."""

BATCH = 64
GATHER_SECONDS = 0.02
"""How long a batch may gather: nobody waits for it, and a full one costs the candidate less than many small ones."""

_TURN = 4
"""Decisions that are compared in one go; then live ones, which come first, may go on."""

_WORD = 64
_log = structlog.get_logger("ztfm.shadow")


@dataclass(frozen=True, slots=True)
class _Offered:
    package: str
    facts: bytes
    decision: Decision


class Beside:
    """What the live path hands its decisions to; it never waits for it, and nothing comes back.

    Args:
        engine: asks the candidate.
        capacity: decisions that may wait; what comes beyond them is dropped and counted.
    """

    def __init__(self, engine: PolicyEngine, *, capacity: int = CAPACITY) -> None:
        self._engine = engine
        self._capacity = capacity
        self._waiting: deque[_Offered] = deque()
        self._arrived = asyncio.Event()
        self._found = Comparison()
        self._dropped = 0

    def offer(self, package: str, facts: bytes, decision: Decision) -> None:
        """Take a decision that was made, with the facts as the live policy was asked about them.

        One that no policy made is not taken: there is nothing to compare.
        """
        if decision.outcome == "error":
            return
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            return
        self._waiting.append(_Offered(package, facts, decision))
        self._arrived.set()

    async def work(self) -> None:
        """Have the candidate decide what was offered, for ever, one batch at a time."""
        while True:
            await self._arrived.wait()
            if len(self._waiting) < BATCH:
                await asyncio.sleep(GATHER_SECONDS)
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._waiting:
                self._arrived.clear()
            await self._decide(batch)

    def take(self) -> ShadowCounts:
        """Return what was found since the last time, each decision in exactly one of its numbers."""
        found, self._found = self._found, Comparison()
        dropped, self._dropped = self._dropped, 0
        return _counts(found, dropped)

    def end(self) -> None:
        """Count what still waits as dropped."""
        self._dropped += len(self._waiting)
        self._waiting.clear()

    async def _decide(self, batch: Sequence[_Offered]) -> None:
        left = len(batch)
        try:
            answers = await asyncio.gather(*(self._engine.ask(one.package, one.facts) for one in batch))
            for one, answer in zip(batch, answers, strict=True):
                self._compare(one, answer)
                left -= 1
                if left % _TURN == 0:
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - logged and counted; whatever a candidate does, the next is compared
            _log.error("shadow_fault", error=type(error).__name__)
        finally:
            self._dropped += left

    def _compare(self, one: _Offered, answer: Answer) -> None:
        facts: dict[str, Any] = orjson.loads(one.facts)
        document = {**one.decision.__pydantic_serializer__.to_python(one.decision), "facts": facts}
        was = Recorded(one.decision.id, one.package, document)
        becomes = conclude(answer, one.package, facts, one.decision.time)
        if becomes.outcome == "error":
            self._found.set_aside(was, becomes)
        else:
            self._found.add(was, becomes)


def _counts(found: Comparison, dropped: int) -> ShadowCounts:
    groups = [
        ShadowGroup(
            change=group.change,
            action=group.action[:_WORD],
            reason=group.reason[:_WORD],
            segment=group.segment[:_WORD],
            count=group.count,
            samples=[sample.id for sample in group.samples],
        )
        for group in found.groups.values()
    ]
    agreed = found.decided - found.changes.total()
    return ShadowCounts(agreed, dict(found.changes), found.failed, dropped, groups)
