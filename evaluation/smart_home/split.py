"""Who gets which sentences: test by template, a small trusted root set, and non-IID shards for the devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.smart_home.corpus import Corpus, Sentence


class Labelled(Protocol):
    """An example of a class; two of the same contents are the same."""

    @property
    def label(self) -> int:
        """The class's index."""
        ...

    def __hash__(self) -> int: ...


Example = TypeVar("Example", bound=Labelled)


@dataclass(frozen=True)
class Split:
    """Disjoint parts of a corpus.

    Attributes:
        train: what devices share out among themselves.
        test: sentences of templates that neither ``train`` nor ``root`` holds.
        root: a few sentences per intent that the server trusts; drawn from training templates.
    """

    train: tuple[Sentence, ...]
    test: tuple[Sentence, ...]
    root: tuple[Sentence, ...]


def split_by_template(
    corpus: Corpus, seed: int, *, test_share: float = 0.25, test_per_template: int = 8, root_per_intent: int = 2
) -> Split:
    """Hold out whole templates of every intent for the test.

    Args:
        corpus: sentences of intents with at least two templates each.
        seed: fixes which templates are held out.
        test_share: share of an intent's templates held out; at least one, and never all.
        test_per_template: cap on a held-out template's sentences, so that no single pattern decides the figure.
        root_per_intent: sentences per intent that go to the root set; never more than the devices get.
    """
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    train: list[Sentence] = []
    test: list[Sentence] = []
    root: list[Sentence] = []
    for label in range(len(corpus.intents)):
        own = [sentence for sentence in corpus.sentences if sentence.label == label]
        templates = sorted({sentence.template for sentence in own})
        held_out = set(random.sample(templates, max(1, round(test_share * len(templates)))))
        for template in sorted(held_out):
            test += [s for s in own if s.template == template][:test_per_template]
        rest = [s for s in own if s.template not in held_out]
        random.shuffle(rest)
        to_root = min(root_per_intent, len(rest) // 2)
        root += rest[:to_root]
        train += rest[to_root:]
    return Split(tuple(train), tuple(test), tuple(root))


def dirichlet_shards(
    train: Sequence[Example], devices: int, *, alpha: float, seed: int, copies: int = 1
) -> tuple[tuple[Example, ...], ...]:
    """Share all examples out so that each device has its own label mix, drawn from Dirichlet(``alpha``).

    As Hsu et al. (arXiv 1909.06335) do it, devices hold equally many examples (within one a copy) and differ in what
    they hold: they take turns in drawing one sentence of a label from their own mix, among labels still left.

    Args:
        train: what there is to share out.
        devices: among how many.
        alpha: the smaller, the more a device keeps to few labels.
        seed: fixes mixes and draws.
        copies: how many devices hold a sentence, for homes often say the same. A device that would get the same
            sentence again gets another of that label while there is one.

    Raises:
        ValueError: there are fewer sentences than devices, or no copy at all.
    """
    if len(train) < devices or copies < 1:
        raise ValueError(f"{copies} copies of {len(train)} sentences cannot serve {devices} devices")
    rng = np.random.default_rng(seed)
    labels = sorted({sentence.label for sentence in train})
    mixes = rng.dirichlet([alpha] * len(labels), size=devices)
    shards: list[dict[Example, None]] = [{} for _ in range(devices)]
    for _ in range(copies):
        left = {label: [sentence for sentence in train if sentence.label == label] for label in labels}
        for turn in range(len(train)):
            device = turn % devices
            pool = left[labels[_draw_label(rng, mixes[device], [bool(left[label]) for label in labels])]]
            new = [index for index, sentence in enumerate(pool) if sentence not in shards[device]]
            shards[device][pool.pop(int(rng.choice(new or len(pool))))] = None
    return tuple(tuple(shard) for shard in shards)


def _draw_label(rng: np.random.Generator, mix: NDArray[np.float64], is_left: Sequence[bool]) -> int:
    # The small share lets a device whose own labels are used up take what is there.
    wanted = (mix + 1e-9) * is_left
    return int(rng.choice(len(mix), p=wanted / wanted.sum()))
