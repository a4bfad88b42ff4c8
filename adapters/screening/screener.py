"""The public operations: a cohort's updates in, one evidence document per update out."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from adapters.screening.cohort import Cohort
from adapters.screening.compare import Comparison, compare
from adapters.screening.digest import update_digest
from adapters.screening.manifest import Manifest
from adapters.screening.measure import LARGEST, MOST_VALUES, largest_layers
from adapters.screening.memory import Digests, Recalled, Sketches
from adapters.screening.reading import Source, read
from adapters.screening.reduce import Lens, Reduced
from adapters.screening.side_by_side import side_by_side, threads
from adapters.screening.streaming import Streamed
from controlplane.contracts.evidence import UpdateEvidence

Updates = Mapping[str, Source] | Iterable[tuple[str, Source]]
"""By subject. An iterable is taken one by one: no more updates are in memory than there are threads, and one."""

_UNMEASURED = Comparison()
_NOTHING = Recalled()


class Screener:
    """Screens the rounds of one job, and remembers the earlier ones. For one thread at a time.

    Across rounds updates are compared in one secret projection; a round whose updates have another form begins anew.

    Args:
        seed: of the projection and the sample. Whoever knows it can hide from the evidence; none for a random one.
        remembered: sketches that are kept (4 KiB each), the latest ones, whosever they are.
        digests: digests that are kept.
    """

    def __init__(self, *, seed: int | None = None, remembered: int = 2048, digests: int = 65_536) -> None:
        self._seed = secrets.randbits(62) if seed is None else seed
        self._remembered = remembered
        self._sketches = Sketches(remembered)
        self._digests = Digests(digests)
        self._lens: Lens | None = None
        self._rounds = 0

    def screen(
        self,
        updates: Updates,
        manifest: Manifest,
        *,
        reference: Mapping[str, Tensor] | None = None,
        examples: Mapping[str, int] | None = None,
        digests: Mapping[str, str] | None = None,
        round_id: str | None = None,
    ) -> dict[str, UpdateEvidence]:
        """Measure every update of a round's cohort; nothing that a device sends makes this raise.

        An update that is malformed, non-finite, zero or beyond 1e12 gets evidence that no sound policy accepts
        (cosine -1), and has no part in the median norm, the centre or the count of duplicates.

        Args:
            updates: by subject (trained minus received). Each is read once.
            manifest: names, shapes and dtypes that the round asks for.
            reference: the update that the server's trusted data yields (after Cao et al., FLTrust, arXiv
                2012.13995); without one, each update is compared with the centre of the others.
            examples: training examples that each subject claims.
            digests: by subject, where they are known already; to compute one costs more than all the rest.
            round_id: what is remembered of a round of this name is not held against it; none for a new one.

        Raises:
            ValueError: ``reference`` does not fit the manifest, or is not finite: a fault of the server, not of a
                device.
        """
        lens = self._focus(manifest)
        root = None if reference is None else lens.reference(reference)
        self._rounds += 1
        round_id = f"#{self._rounds}" if round_id is None else round_id
        return self._evidence(lens, _reduced(lens, updates, digests or {}), root, examples or {}, round_id)

    def _focus(self, manifest: Manifest) -> Lens:
        if self._lens is None or self._lens.manifest != manifest:
            self._lens = Lens(manifest, self._seed)
            self._sketches = Sketches(self._remembered)
        return self._lens

    def _evidence(
        self,
        lens: Lens,
        reduced: Mapping[str, Reduced],
        root: Reduced | None,
        claimed: Mapping[str, int],
        round_id: str,
    ) -> dict[str, UpdateEvidence]:
        cohort = Cohort.of(reduced)
        compared: dict[str, Comparison] = {}
        recalled: dict[str, Recalled] = {}
        if cohort is not None:
            compared = dict(zip(cohort.subjects, compare(cohort, lens.projection, root), strict=True))
            recalled = self._sketches.recall(cohort.subjects, cohort.directions, round_id)
            self._sketches.remember(cohort.subjects, cohort.directions, round_id)
        typical = 0.0 if cohort is None else float(np.median(cohort.norms))
        evidence = {}
        # Nothing at all is the same from everybody: it is no replay, and no other's digest tells of it.
        sent = (one for one in reduced.values() if one.measured.shapes_match and one.measured.norm > 0.0)
        telling = dict.fromkeys(one.digest for one in sent)
        for subject, one in reduced.items():
            layers = largest_layers(lens.manifest, one.measured.shares)
            evidence[subject] = UpdateEvidence(
                **_alone(one, layers, typical),
                **_beside(compared.get(subject, _UNMEASURED), layers),
                **vars(recalled.get(subject, _NOTHING)),
                reference="centre" if root is None else "root",
                examples=max(0, min(claimed.get(subject, 0), MOST_VALUES)),
                seen_before=one.digest in telling and self._digests.came_before(one.digest, round_id),
            )
        self._digests.remember(telling, round_id)
        return evidence


def screen(
    updates: Updates,
    manifest: Manifest,
    *,
    reference: Mapping[str, Tensor] | None = None,
    examples: Mapping[str, int] | None = None,
    seed: int = 0,
) -> dict[str, UpdateEvidence]:
    """Screen one round by itself, as `Screener.screen` does; nothing is remembered.

    Args:
        updates: as there.
        manifest: as there.
        reference: as there.
        examples: as there.
        seed: of the projection and the sample.

    Raises:
        ValueError: as there.
    """
    return Screener(seed=seed).screen(updates, manifest, reference=reference, examples=examples)


def _reduced(lens: Lens, updates: Updates, digests: Mapping[str, str]) -> dict[str, Reduced]:
    """Reduce updates, by subject; those without a digest get theirs.

    Of updates that are in memory anyway, some are reduced together, on several cores. Others are reduced one by one as
    they come, and no more of them are in memory than it takes; only hashing has other cores.
    """

    def arrive(one: tuple[str, Source]) -> tuple[str, Mapping[str, object], str]:
        subject, update = one[0], read(one[1])
        return subject, update, digests.get(subject) or update_digest(update, lens.manifest)

    def reduce(some: Sequence[tuple[str, Source]]) -> dict[str, Reduced]:
        arrived = [arrive(one) for one in some]
        reduced = lens.reduce_together([(update, digest) for _, update, digest in arrived])
        return dict(zip((subject for subject, _, _ in arrived), reduced, strict=True))

    if isinstance(updates, Mapping) and lens.at_once > 1 and all(map(_is_held, updates.values())):
        batches = _batches(list(updates.items()), lens.at_once)
        return {subject: one for found in side_by_side(reduce, batches) for subject, one in found.items()}
    named = updates.items() if isinstance(updates, Mapping) else updates
    arriving = map(arrive, named) if digests else side_by_side(arrive, named)
    return {subject: lens.reduce(update, digest) for subject, update, digest in arriving}


def _is_held(update: Source) -> bool:
    return isinstance(update, Mapping) and not isinstance(update, Streamed)


def _batches(named: Sequence[tuple[str, Source]], most: int) -> Iterator[Sequence[tuple[str, Source]]]:
    """Yield some at a time, ``most`` at most, so that each thread gets as many."""
    rounds = -(-len(named) // (threads() * most))
    size = max(1, -(-len(named) // max(1, threads() * rounds)))
    return (named[start : start + size] for start in range(0, len(named), size))


def _alone(one: Reduced, layers: Mapping[str, int], typical: float) -> dict[str, Any]:
    """What is said of one update by itself, as fields of `UpdateEvidence`."""
    measured = one.measured
    return {
        "update_digest": one.digest,
        "parameters": measured.parameters,
        "nonfinite": measured.nonfinite,
        "shapes_match": measured.shapes_match,
        "norm": measured.norm,
        "norm_ratio": min(measured.norm / typical, LARGEST) if typical > 0.0 else 0.0,
        "layer_shares": {name: measured.shares[place] for name, place in layers.items()},
        "concentration": measured.concentration,
    }


def _beside(compared: Comparison, layers: Mapping[str, int]) -> dict[str, Any]:
    """What is said of it beside the others."""
    cosines = compared.layer_cosines
    told = {name: cosines[place] for name, place in layers.items() if cosines and cosines[place] == cosines[place]}
    return {**vars(compared), "layer_cosines": told or None}
