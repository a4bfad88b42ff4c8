"""How the model came about, given what was archived: which rounds are part of it, without whom, and what a rollback is.

Pure: it reads what was signed, and no tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from adapters.rollback.manifest import Answer, Asked, Entry, ReplayedRound, RoundEntry

NOT_KEPT = "the archive does not hold the round from which on updates are to be left out"
REPLACED = "weights that no archived round ends with came in between"


@dataclass(frozen=True, slots=True)
class Standing:
    """A round as it is part of the model now.

    Attributes:
        entry: as it was archived.
        before: digest of the weights that it begins with now.
        after: that it ends with now.
        left_out: whose updates are no part of it any more.
        is_dropped: nothing of it is part of the model any more.
    """

    entry: RoundEntry
    before: str
    after: str
    left_out: frozenset[str] = frozenset()
    is_dropped: bool = False

    def contributors(self) -> frozenset[str]:
        """Whose updates are part of it."""
        return frozenset() if self.is_dropped else frozenset(one.subject for one in self.entry.updates) - self.left_out


@dataclass(frozen=True, slots=True)
class Step:
    """A round that is done again.

    Attributes:
        entry: as it was archived.
        left_out: whose updates are left out.
    """

    entry: RoundEntry
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is rebuilt.

    Attributes:
        base: digest of the weights to begin with; none when nothing has to be done.
        answers: what becomes of what was asked for.
        steps: rounds to do again, in order.
        dropped: rounds that cannot be, and all that followed them.
    """

    base: str | None
    answers: tuple[Answer, ...]
    steps: tuple[Step, ...] = ()
    dropped: tuple[RoundEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which updates something that was asked for reaches: those of its subjects from a place on."""

    without: frozenset[str]
    begins: int
    incomplete: str

    def hits(self, place: int, standing: Standing) -> frozenset[str]:
        return self.without & standing.contributors() if place >= self.begins else frozenset()


def standings(entries: Sequence[Entry]) -> list[Standing]:
    """Return how the rounds of an archive stand, in their order."""
    found: dict[str, Standing] = {}
    for entry in entries:
        if isinstance(entry, RoundEntry):
            found[entry.round_id] = Standing(entry, entry.weights_before, entry.weights_after)
            continue
        for again in entry.replayed:
            if again.round_id in found:
                found[again.round_id] = _again(found[again.round_id], again)
        for round_id in entry.dropped:
            if round_id in found:
                found[round_id] = replace(found[round_id], is_dropped=True)
    return list(found.values())


def plan(entries: Sequence[Entry], asked: Sequence[Asked]) -> Plan:
    """Return how the model is rebuilt without what some subjects contributed.

    A round that cannot be done again ends the rebuild before it: a server optimiser's own state, for instance, carries
    what was to be left out into all later rounds.

    Args:
        entries: the archive's, oldest first.
        asked: whose updates are left out, from when on.
    """
    rounds = standings(entries)
    alive = [place for place, one in enumerate(rounds) if not one.is_dropped]
    reaches = [_reach(rounds, _continues(rounds, alive), one) for one in asked]
    hits = {place: frozenset().union(*(reach.hits(place, rounds[place]) for reach in reaches)) for place in alive}
    first = next((place for place in alive if hits[place]), None)
    todo = [] if first is None else [place for place in alive if place >= first]
    ends = next((at for at, place in enumerate(todo) if rounds[place].entry.recipe is None), len(todo))
    return Plan(
        None if first is None else rounds[first].before,
        tuple(_answer(one, reach, todo, rounds) for one, reach in zip(asked, reaches, strict=True)),
        tuple(Step(rounds[place].entry, rounds[place].left_out | hits[place]) for place in todo[:ends]),
        tuple(rounds[place].entry for place in todo[ends:]),
    )


def _reach(rounds: Sequence[Standing], begins: int, asked: Asked) -> _Reach:
    since = next((place for place, one in enumerate(rounds) if one.entry.round_id == asked.since), None)
    without = frozenset(asked.without)
    before = any(one.contributors() & without for one in rounds[since or 0 : begins])
    incomplete = NOT_KEPT if since is None else REPLACED if before else ""
    return _Reach(without, max(since or 0, begins), incomplete)


def _answer(asked: Asked, reach: _Reach, places: Sequence[int], rounds: Sequence[Standing]) -> Answer:
    left_out = sum(len(reach.hits(place, rounds[place])) for place in places)
    return Answer(**asked.model_dump(), left_out=left_out, incomplete=reach.incomplete)


def superseded(entries: Sequence[Entry]) -> frozenset[str]:
    """Return the digests of weights that were once the model's and are no more, since somebody was left out."""
    known = {digest for entry in entries for digest in _digests(entry)}
    current = {digest for one in standings(entries) if not one.is_dropped for digest in (one.before, one.after)}
    if entries:
        current.add(entries[-1].weights_after)
    return frozenset(known - current)


def referred(entries: Sequence[Entry]) -> set[str]:
    """Return the digests of weights that have to be kept to verify and to rebuild."""
    rounds = {entry.round_id for entry in entries if isinstance(entry, RoundEntry)}
    kept: set[str] = set()
    for entry in entries:
        if isinstance(entry, RoundEntry):
            kept.add(entry.weights_before)
        else:
            kept.add(entry.weights_after)
            kept |= {again.weights_before for again in entry.replayed if again.round_id in rounds}
    return kept


def _continues(rounds: Sequence[Standing], alive: Sequence[int]) -> int:
    """Return the place of the round since which each begins with the weights that the one before ended with."""
    begins = 0
    for earlier, later in pairwise(alive):
        if rounds[earlier].after != rounds[later].before:
            begins = later
    return begins


def _again(standing: Standing, again: ReplayedRound) -> Standing:
    return replace(standing, before=again.weights_before, after=again.weights_after, left_out=frozenset(again.left_out))


def _digests(entry: Entry) -> set[str]:
    if isinstance(entry, RoundEntry):
        return {entry.weights_before, entry.weights_after}
    return {digest for again in entry.replayed for digest in (again.weights_before, again.weights_after)} | {
        entry.weights_after
    }
