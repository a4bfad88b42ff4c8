"""The smallest change of facts that would have been allowed, found by asking OPA."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from controlplane.contracts.facts import FACTS
from controlplane.decisions.decider import conclude
from controlplane.decisions.engine import PolicyEngine
from controlplane.history.sources import Place, Reading, Sources
from controlplane.history.values import ABSENT, at, fields, is_number, put, values

MAX_FIELDS = 4
MAX_ASKED = 12_000
KEPT = 16
"""Changes of one size from which the next size goes on."""

MAX_FOUND = 5


@dataclass(frozen=True)
class Change:
    """One field that would have had to be another.

    Attributes:
        path: within the facts, with dots.
        was: as it was; none where it was absent.
    """

    path: str
    was: Any
    becomes: Any


@dataclass(frozen=True)
class Nearest:
    """What would have been allowed.

    Attributes:
        alternatives: the smallest sets of changes that were found, each allowed by OPA; empty when none was.
        asked: how many were decided to find them.
        is_complete: false when the search ended at its bound on what is asked.
    """

    alternatives: tuple[tuple[Change, ...], ...]
    asked: int
    is_complete: bool


@dataclass(frozen=True)
class _State:
    facts: dict[str, Any]
    changed: tuple[Place, ...]
    codes: frozenset[str]


class Search:
    """Looks for the smallest change, one field more at a time, from those that come nearest.

    Args:
        package: that decides.
        engine: asks it.
        sources: what its requirements read.
        donors: facts of allowed requests, whose parts stand in where something was absent whole.
    """

    def __init__(
        self, package: str, engine: PolicyEngine, sources: Sources, donors: Sequence[dict[str, Any]] = ()
    ) -> None:
        self._package = package
        self._engine = engine
        self._sources = sources
        self._donors = donors
        self._asked = 0
        self._readings: dict[str, Reading] = {}

    async def run(self, facts: dict[str, Any], codes: frozenset[str], package: str) -> Nearest:
        """Return the nearest allowed requests to ``facts``, which miss ``codes`` in Rego's ``package``."""
        for with_resource in (False, True):
            found = await self._climb(facts, codes, package, with_resource)
            if found.alternatives or not found.is_complete:
                break
        return found

    async def _climb(self, facts: dict[str, Any], codes: frozenset[str], package: str, with_resource: bool) -> Nearest:
        frontier = [_State(facts, (), codes)]
        for _ in range(MAX_FIELDS):
            candidates = list(self._expand(frontier, facts, package, with_resource))
            room = MAX_ASKED - self._asked
            decided = await self._decide(candidates[:room])
            allowed = [state for state in decided if not state.codes]
            if allowed:
                found = sorted(allowed, key=lambda state: _preference(state, facts))
                return Nearest(tuple(_changes(state, facts) for state in _distinct(found)), self._asked, True)
            if len(candidates) > room:
                return Nearest((), self._asked, False)
            frontier = _best(decided)
        return Nearest((), self._asked, True)

    def _expand(
        self, frontier: list[_State], original: dict[str, Any], package: str, with_resource: bool
    ) -> Iterator[_State]:
        seen: set[str] = set()
        for state in frontier:
            readings = [self._reading(package, code) for code in sorted(state.codes)]
            for path, value in self._options(readings, state.facts, with_resource):
                if path in state.changed or value == at(original, path):
                    continue
                facts = put(state.facts, path, value)
                changed = tuple(sorted({*state.changed, path}))
                key = repr([(one, at(facts, one)) for one in changed])
                if key not in seen and self._fits(facts):
                    seen.add(key)
                    yield _State(facts, changed, state.codes)

    def _options(
        self, readings: Sequence[Reading], facts: dict[str, Any], with_resource: bool
    ) -> Iterator[tuple[Place, Any]]:
        for path in fields(readings, facts, with_resource=with_resource):
            for value in values(path, readings, facts, self._sources.data):
                yield path, value
            hole = _hole(facts, path)
            if hole is not None:
                for donor in self._donors:
                    given = at(donor, hole)
                    if given is not ABSENT and given is not None:
                        yield hole, given

    def _reading(self, package: str, code: str) -> Reading:
        if code not in self._readings:
            self._readings[code] = self._sources.reading(package, code)
        return self._readings[code]

    def _fits(self, facts: dict[str, Any]) -> bool:
        try:
            FACTS[self._package].model_validate(facts)
        except ValidationError:
            return False
        return True

    async def _decide(self, states: Sequence[_State]) -> list[_State]:
        self._asked += len(states)
        answers = await asyncio.gather(
            *(self._engine.ask(self._package, orjson.dumps(state.facts)) for state in states)
        )
        decided = []
        for state, answer in zip(states, answers, strict=True):
            decision = conclude(answer, self._package, state.facts, 0.0)
            if decision.outcome != "error":
                codes = frozenset(reason.code for reason in decision.reasons)
                decided.append(_State(state.facts, state.changed, codes))
        return decided


def _hole(facts: dict[str, Any], path: Place) -> Place | None:
    """Return the shortest part of a path at which nothing stands; none when there is something."""
    for length in range(2, len(path) + 1):
        if at(facts, path[:length]) in (ABSENT, None):
            return path[:length]
    return None


def _best(states: list[_State]) -> list[_State]:
    """Return the states with the fewest requirements missing, one for each set of fields and of requirements."""
    unlike: dict[tuple[object, ...], _State] = {}
    for state in states:
        unlike.setdefault((state.changed, state.codes), state)
    return sorted(unlike.values(), key=lambda state: (len(state.codes), state.changed))[:KEPT]


def _distinct(states: list[_State]) -> list[_State]:
    """Return the first state of each set of fields."""
    found: dict[tuple[Place, ...], _State] = {}
    for state in states:
        found.setdefault(state.changed, state)
    return list(found.values())[:MAX_FOUND]


def _preference(state: _State, facts: dict[str, Any]) -> tuple[float, str]:
    """Sort near numbers first."""
    distance = 0.0
    for path in state.changed:
        was, becomes = at(facts, path), at(state.facts, path)
        if is_number(was) and is_number(becomes):
            distance += abs(becomes - was) / (abs(was) + abs(becomes) or 1.0)
        else:
            distance += 1.0
    return distance, repr(state.changed)


def _changes(state: _State, facts: dict[str, Any]) -> tuple[Change, ...]:
    found = []
    for path in state.changed:
        was = at(facts, path)
        found.append(Change(".".join(path), None if was is ABSENT else was, at(state.facts, path)))
    return tuple(found)
