"""Rebuild a model from its archive, one round at a time, so that it can be stopped and go on where it was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from adapters.rollback.errors import ArchiveDamaged, Stopped
from adapters.rollback.folder import Folder
from adapters.rollback.lineage import Plan, Step
from adapters.rollback.manifest import ReplayedRound, RollbackEntry, RoundEntry
from adapters.rollback.replay import digest_of_weights, replay
from adapters.screening import Manifest

Progress = Callable[[int, int], bool | None]
"""Told how many rounds are done, of how many; returning false stops the rebuild."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A round and its place in the archive's folder."""

    number: int
    entry: RoundEntry


@dataclass(frozen=True, slots=True)
class Done:
    """What a rebuild came to.

    Attributes:
        state: the rebuilt weights.
        digest: of them.
        replayed: what was done again, in order.
    """

    state: dict[str, Tensor]
    digest: str
    replayed: tuple[ReplayedRound, ...]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A model as it would be without what some subjects contributed.

    Attributes:
        state: its weights.
        record: what was left out and what was done again; signed once it is accepted.
    """

    state: dict[str, Tensor]
    record: RollbackEntry


def read_updates(
    folder: Folder, found: Numbered, left_out: frozenset[str]
) -> tuple[list[dict[str, Tensor]], list[int]]:
    """Return the updates of a round that are not left out, and what they weigh.

    Raises:
        ArchiveDamaged: one is missing, or not what was signed.
    """
    kept = [(index, one) for index, one in enumerate(found.entry.updates) if one.subject not in left_out]
    updates = [folder.update(found.number, index, one.content) for index, one in kept]
    return updates, [one.weight for _, one in kept]


def rebuild(
    folder: Folder,
    plan: Plan,
    numbers: Mapping[str, int],
    done: Sequence[ReplayedRound] = (),
    keep: Callable[[Sequence[ReplayedRound], Mapping[str, Tensor]], None] | None = None,
    progress: Progress | None = None,
) -> Done:
    """Carry out a plan.

    Args:
        folder: holds the tensors.
        plan: with something to do.
        numbers: places of rounds in the folder, by id.
        done: what an earlier attempt did; its weights are in the folder.
        keep: is given what is done and the weights after it, after each round; none keeps nothing on the way.
        progress: is told how far it is.

    Raises:
        ArchiveDamaged: something is missing, or not what was signed.
        Stopped: ``progress`` said so.
    """
    if plan.base is None:
        raise ValueError("there is nothing to rebuild")
    replayed = list(done)
    digest = replayed[-1].weights_after if replayed else plan.base
    state = folder.weights(digest)
    for step in plan.steps[len(replayed) :]:
        if progress is not None and progress(len(replayed), len(plan.steps)) is False:
            raise Stopped(f"stopped after {len(replayed)} of {len(plan.steps)} rounds")
        state = again(folder, Numbered(numbers[step.entry.round_id], step.entry), state, step.left_out)
        before, digest = digest, digest_of_weights(state)
        replayed.append(_replayed(step, before, digest))
        if keep is not None:
            keep(replayed, state)
    if progress is not None:
        progress(len(replayed), len(plan.steps))
    return Done(state, digest, tuple(replayed))


def again(
    folder: Folder, found: Numbered, before: Mapping[str, Tensor], left_out: frozenset[str] = frozenset()
) -> dict[str, Tensor]:
    """Return the weights after a round, done again from ``before`` without some subjects' updates.

    Raises:
        ArchiveDamaged: an update is missing, is not what was signed, or does not fit the weights; or the round cannot
            be done again.
    """
    recipe = found.entry.recipe
    if recipe is None:
        raise ArchiveDamaged(f"round {found.entry.round_id} cannot be done again")
    updates, weights = read_updates(folder, found, left_out)
    manifest = Manifest.of(before)
    if not all(manifest.fits(update) for update in updates):
        raise ArchiveDamaged(f"an update of round {found.entry.round_id} does not fit its weights")
    try:
        return replay(recipe, before, updates, weights)
    except ValueError as error:
        raise ArchiveDamaged(f"round {found.entry.round_id}: {error}") from None


def is_begun(plan: Plan, done: Sequence[ReplayedRound]) -> bool:
    """Whether what was done is how a plan begins. Rounds that came since make it no other plan."""
    begins = [(step.entry.round_id, sorted(step.left_out)) for step in plan.steps[: len(done)]]
    return (
        bool(done)
        and done[0].weights_before == plan.base
        and begins == [(one.round_id, one.left_out) for one in done]
        and all(earlier.weights_after == later.weights_before for earlier, later in pairwise(done))
    )


def _replayed(step: Step, before: str, after: str) -> ReplayedRound:
    return ReplayedRound(
        round_id=step.entry.round_id, weights_before=before, weights_after=after, left_out=sorted(step.left_out)
    )
