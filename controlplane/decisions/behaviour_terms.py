"""The terms by which behaviour is judged, as policy has them: asked for anew every two seconds while they are used."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import orjson

from controlplane.behavior import Judge
from controlplane.contracts.behaviour import CHANNELS, BehaviourQuery, BehaviourTerms
from controlplane.decisions.engine import Answered, PolicyEngine

PACKAGE = "behaviour"
FRESH_SECONDS = 2.0
"""New policies' terms are taken over within this time."""

AGAIN_SECONDS = 1.0
"""After a failure policy is not asked again for as long; until then nothing is judged."""

_QUESTION = BehaviourQuery(channels=list(CHANNELS)).model_dump_json().encode()


class TermsObserver(Protocol):
    """Counts failures."""

    def behaviour_terms_unavailable(self, cause: str) -> None:
        """Policy did not say how to judge, so nothing is judged."""
        ...


@dataclass(frozen=True, slots=True)
class InForce:
    """What is judged by.

    Attributes:
        revision: of the policies that say so.
        terms: what they say.
        judge: judges by it.
    """

    revision: str
    terms: BehaviourTerms
    judge: Judge


class BehaviourPolicy:
    """Knows by which terms behaviour is judged.

    Terms are parsed once for each revision. When policy does not say how to judge, nobody judges by what it said
    before.

    Args:
        engine: is asked.
        observer: counts.
        clock: seconds, monotonic.
    """

    def __init__(self, engine: PolicyEngine, observer: TermsObserver, *, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._observer = observer
        self._clock = clock
        self._current: InForce | None = None
        self._again_at = clock()
        self._asking: asyncio.Task[InForce | None] | None = None

    async def in_force(self) -> InForce | None:
        """Return what is judged by; none while policy does not say."""
        if self._asking is None:
            if self._clock() < self._again_at:
                return self._current
            self._asking = asyncio.create_task(self._renew(self._clock()))
        # Whoever gives up waiting must not take the answer away from the others.
        return await asyncio.shield(self._asking)

    async def _renew(self, asked_at: float) -> InForce | None:
        try:
            found = await self._ask()
            self._current = found
            self._again_at = asked_at + (AGAIN_SECONDS if found is None else FRESH_SECONDS)
            return found
        finally:
            self._asking = None

    async def _ask(self) -> InForce | None:
        answer = await self._engine.ask(PACKAGE, _QUESTION)
        if not isinstance(answer, Answered):
            self._observer.behaviour_terms_unavailable(answer.cause)
            return None
        if self._current is not None and self._current.revision == answer.revision:
            return self._current
        try:
            terms = BehaviourTerms.model_validate_json(orjson.dumps(answer.document))
            return InForce(answer.revision, terms, Judge(terms))
        except ValueError:
            self._observer.behaviour_terms_unavailable("malformed")
            return None
