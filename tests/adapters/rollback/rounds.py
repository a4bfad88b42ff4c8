"""Rounds of a small model, as an aggregator archives them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from adapters.rollback import Aggregated, Asked, Contributed, DeltaArchive, KeptUpdate, Recipe
from adapters.rollback.replay import moved, replay
from adapters.screening import Manifest, update_digest
from controlplane.jose.keys import DeviceKey

KEY = DeviceKey.generate()
MODEL = "smart-home-intents"
MEAN = Recipe()
SHAPES = {"weight": (6, 4), "bias": (6,)}


def start(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=noise).to(dtype) for name, shape in SHAPES.items()}


def update(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(1000 + seed)
    return {name: (0.1 * torch.randn(shape, generator=noise)).to(dtype) for name, shape in SHAPES.items()}


def digest(tensors: Mapping[str, Tensor]) -> str:
    return update_digest(tensors, Manifest.of(tensors))


def contributed(subject: str, tensors: Mapping[str, Tensor], weight: int = 10, **changes: object) -> Contributed:
    kept = {
        "subject": subject,
        "update_digest": digest(tensors),
        "content": digest(tensors),
        "decision_id": f"dec-{subject}",
        "weight": weight,
        "scale": 1.0,
        **changes,
    }
    return Contributed(tensors, KeptUpdate.model_validate(kept))


def asked(subjects: Sequence[str], since: str, order: str | None = None) -> Asked:
    return Asked(without=list(subjects), since=since, order=order)


def round_of(
    name: str, before: Mapping[str, Tensor], subjects: Sequence[str], recipe: Recipe | None = None
) -> Aggregated:
    """A round to which each subject contributed, aggregated as the recipe says; none in a way that nobody knows."""
    number = sum(name.encode())
    dtype = before["weight"].dtype
    updates = [
        contributed(one, update(17 * number + sum(one.encode()), dtype), 5 + at) for at, one in enumerate(subjects)
    ]
    plain = [one.update for one in updates], [one.kept.weight for one in updates]
    if recipe is None:
        return Aggregated(name, MODEL, before, {key: tensor.neg() for key, tensor in before.items()}, updates)
    return Aggregated(name, MODEL, before, replay(recipe, before, *plain), updates, (recipe,))


def filled(
    folder: Path, whose: Mapping[str, Sequence[str]], recipe: Recipe | None = MEAN, **options: object
) -> dict[str, Aggregated]:
    """Archive rounds, each of which begins with what the one before it ended with."""
    state: Mapping[str, Tensor] = start()
    done = {}
    with DeltaArchive(folder, KEY, **options) as archive:  # type: ignore[arg-type]
        for name, subjects in whose.items():
            done[name] = round_of(name, state, subjects, recipe)
            archive.record(done[name])
            state = done[name].after
    return done


def without(done: Mapping[str, Aggregated], subjects: Sequence[str], since: str) -> dict[str, Tensor]:
    """What the rounds come to when some subjects' updates were never there, computed beside the archive."""
    names = list(done)
    state = dict(next(iter(done.values())).before)
    for name, one in done.items():
        left = set(subjects) if names.index(name) >= names.index(since) else set()
        used = [each for each in one.updates if each.kept.subject not in left]
        if not used:
            continue
        total = sum(each.kept.weight for each in used)
        step = {key: torch.zeros(shape, dtype=torch.float64) for key, shape in SHAPES.items()}
        for each in used:
            for key in step:
                step[key] = step[key] + each.update[key].double() * (each.kept.weight / total)
        state = moved(state, step)
    return state


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether the same bits are in both."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
