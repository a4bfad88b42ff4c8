"""What policy says of the decision log: asked once for each policy revision, and remembered."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import orjson
from pydantic import TypeAdapter, ValidationError

from controlplane.contracts.base import StrictModel
from controlplane.contracts.facts import FACTS
from controlplane.contracts.log import LogQuery, LogTerms
from controlplane.decisions.engine import Answered, PolicyEngine
from controlplane.decisions.masking import Mask

PACKAGE = "log"
AGAIN_SECONDS = 5.0
"""After a failure policy is not asked again for as long; until then everything that callers added is masked."""

_REMEMBERED = 4
_QUESTION = LogQuery(packages=sorted(FACTS)).model_dump_json().encode()
_TERMS: TypeAdapter[dict[str, LogTerms]] = TypeAdapter(dict[str, LogTerms])
_CLOSED = {package: Mask(package, None) for package in FACTS}

_Masks = Mapping[str, Mask]


class LogObserver(Protocol):
    """Counts what is kept out of the log."""

    def masked(self, package: str, count: int) -> None:
        """So many values were kept out of one record."""
        ...

    def terms_unavailable(self, cause: str) -> None:
        """Policy did not say what to mask, so all that callers add is; or for how long records are kept."""
        ...


class LogPolicy:
    """Masks by policy revision, and how long records are kept.

    Args:
        engine: is asked.
        observer: counts.
        clock: seconds, monotonic.
    """

    def __init__(self, engine: PolicyEngine, observer: LogObserver, *, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._observer = observer
        self._clock = clock
        self._masks: OrderedDict[str, _Masks] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Masks | None]] = {}
        self._again_at = 0.0

    async def kept(self, package: str, revision: str, facts: StrictModel, document: bytes) -> tuple[bytes, list[str]]:
        """Return what is recorded of facts, and pointers to what was kept out.

        Where policy did not decide, or does not say what to mask, that is all that a caller added.

        Args:
            package: that decided.
            revision: by which it did; empty when no policy could be asked.
            facts: as they were validated.
            document: the same as JSON.
        """
        masks = self._masks.get(revision)
        if masks is None and revision:
            masks = await self._learn(revision)
        kept, masked = (masks or _CLOSED)[package].kept(facts, document)
        if masked:
            self._observer.masked(package, len(masked))
        return kept, masked

    async def retention(self) -> dict[str, float]:
        """Return for how many days records are kept, by package; those that policy says nothing of are absent."""
        found = await self._ask()
        if found is None:
            return {}
        terms, _ = found
        return {package: one.retention_days for package, one in terms.items() if one.retention_days is not None}

    async def _learn(self, revision: str) -> _Masks | None:
        asking = self._asking.get(revision)
        if asking is None:
            if self._clock() < self._again_at or len(self._asking) >= _REMEMBERED:
                return None
            asking = self._asking[revision] = asyncio.create_task(self._masks_of(revision))
        # Whoever gives up waiting must not take the answer away from the others.
        return await asyncio.shield(asking)

    async def _masks_of(self, revision: str) -> _Masks | None:
        try:
            found = await self._ask()
            if found is None:
                self._again_at = self._clock() + AGAIN_SECONDS
                return None
            terms, answered_by = found
            masks = {package: Mask(package, terms[package]) for package in FACTS}
            # A later revision may have answered: it is what a record that is written now goes by.
            for known in (revision, answered_by):
                self._masks[known] = masks
            while len(self._masks) > _REMEMBERED:
                self._masks.popitem(last=False)
            return masks
        finally:
            del self._asking[revision]

    async def _ask(self) -> tuple[dict[str, LogTerms], str] | None:
        answer = await self._engine.ask(PACKAGE, _QUESTION)
        cause = ""
        if isinstance(answer, Answered):
            try:
                terms = _TERMS.validate_json(orjson.dumps(answer.document))
            except ValidationError:
                cause = "malformed"
            else:
                if terms.keys() == FACTS.keys():
                    return terms, answer.revision
                cause = "undefined"
        else:
            cause = answer.cause
        self._observer.terms_unavailable(cause)
        return None
