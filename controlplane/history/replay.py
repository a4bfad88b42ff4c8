"""Decide recorded requests again, by another policy, and say what changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import orjson

from controlplane.contracts.decision import Decision
from controlplane.decisions.decider import conclude
from controlplane.decisions.engine import PolicyEngine
from controlplane.history.changes import Comparison
from controlplane.history.layered import held_to, layers_of
from controlplane.history.records import Recorded

Progress = Callable[[int], None]
"""Is told how many decisions are done."""


class ReplayFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The policy engine went away in the middle; what was counted until then says nothing."""


_GONE = frozenset({"policy_unreachable", "policy_deadline", "policy_circuit_open", "policy_overloaded"})


ReadsMasked = Callable[[Recorded], Awaitable[bool]]
"""Says whether a policy reads what was kept out of a record."""


async def replay(
    pieces: AsyncIterator[list[Recorded]], engine: PolicyEngine, reads_masked: ReadsMasked, progress: Progress
) -> Comparison:
    """Return how ``engine`` decides on the facts of recorded decisions, beside how it was decided.

    It decides by the base alone, and is held to what the layers below it had said (`history.layered`).

    While one piece is decided the next is read. Records of which something was kept out that the policy reads are
    counted apart: what stands in its place decides nothing.

    Raises:
        ReplayFailed: the engine went away.
    """
    found = Comparison()
    done = 0
    reading = asyncio.ensure_future(anext(pieces, None))
    try:
        while (piece := await reading) is not None:
            reading = asyncio.ensure_future(anext(pieces, None))
            known = [one for one in piece if not (one.masked and await reads_masked(one))]
            found.masked += len(piece) - len(known)
            for was, becomes in zip(known, await decide_again(known, engine), strict=True):
                found.add(was, held_to(was, becomes))
                found.layers.update(layers_of(was) if was.document["outcome"] != "error" else ())
            done += len(piece)
            progress(done)
    finally:
        reading.cancel()
    return found


async def decide_again(piece: Sequence[Recorded], engine: PolicyEngine) -> list[Decision]:
    """Return what ``engine`` decides on the facts of each, as the request path concludes it.

    Raises:
        ReplayFailed: the engine went away.
    """
    answers = await asyncio.gather(*(engine.ask(one.package, orjson.dumps(one.facts)) for one in piece))
    now = time.time()
    decisions = [conclude(answer, one.package, one.facts, now) for one, answer in zip(piece, answers, strict=True)]
    for decision in decisions:
        gone = {reason.code for reason in decision.reasons} & _GONE
        if decision.outcome == "error" and gone:
            raise ReplayFailed(f"the policy engine gave no answer ({gone.pop()}); nothing can be said")
    return decisions
