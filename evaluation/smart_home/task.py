"""Everything that a seed fixes before the first round: who holds what, who is hostile, and how success is judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Self

from evaluation.smart_home.attacks import TARGET, Attack, Backdoor, SignFlip, triggered
from evaluation.smart_home.corpus import Corpus, Sentence, build_corpus
from evaluation.smart_home.model import TunedModel
from evaluation.smart_home.pretrained import encoder_in
from evaluation.smart_home.split import Split, dirichlet_shards, split_by_template
from evaluation.smart_home.trunk import Trunk

DEVICES = 20
ALPHA = 0.5
COPIES = 2
FLIPPERS = 2
BACKDOORS = 2
ROOT_PER_INTENT = 4
TEST_SEED_OFFSET = 10_007


@dataclass(frozen=True)
class Task:
    """One household fleet's federation, before anything is trained.

    Attributes:
        seed: fixes all the rest.
        corpus: all sentences.
        split: training, test and root sentences.
        shards: each device's own sentences.
        attacks: the hostile devices, by index, and what each does.
        target: label that the backdoor's trigger shall call.
        triggered_test: every other test sentence, with the trigger in it; none of the target's own.
        trunk: the frozen encoder; shared by all models of this process.
    """

    seed: int
    corpus: Corpus
    split: Split
    shards: tuple[tuple[Sentence, ...], ...]
    attacks: Mapping[int, Attack]
    target: int
    triggered_test: tuple[Sentence, ...]
    trunk: Trunk

    @property
    def devices(self) -> int:
        """How many devices there are, hostile ones among them."""
        return len(self.shards)

    @property
    def intents(self) -> int:
        """How many intents there are."""
        return len(self.corpus.intents)

    def under(self, attacks: Mapping[int, Attack]) -> Self:
        """The same federation with other hostile devices, or the same who do something else."""
        changed = replace(self, attacks=attacks)
        changed.trunk.preload(list(changed.texts()))
        return changed

    def model(self) -> TunedModel:
        """A fresh model as it is before the first round."""
        return TunedModel(self.trunk, self.intents, self.seed)

    def training_set(self, device: int, *, attacked: bool) -> list[Sentence]:
        """What a device trains on; ``attacked`` says whether hostile devices behave as such."""
        attack = self.attacks.get(device) if attacked else None
        return list(attack.poison(self.shards[device]) if attack else self.shards[device])

    def texts(self) -> Iterator[str]:
        """Every text that any device or the server will ever read, always in the same order."""
        for part in (self.split.train, self.split.root, self.split.test, self.triggered_test):
            yield from (sentence.text for sentence in part)
        for device in sorted(self.attacks):
            yield from (sentence.text for sentence in self.training_set(device, attacked=True))


@lru_cache(maxsize=2)
def load_task(seed: int, cache: Path | None = None, encoder: Path | None = None, *, alpha: float = ALPHA) -> Task:
    """Build the task of ``seed``; the trunk's output is read from ``cache`` where an earlier process left it there.

    Args:
        seed: fixes all of it.
        cache: folder for the trunk's output.
        encoder: folder of the encoder; none for the packaged one.
        alpha: of the Dirichlet distribution that each device's mix of intents is drawn from; smaller is more skewed.
    """
    corpus = build_corpus(seed)
    split = split_by_template(corpus, seed, root_per_intent=ROOT_PER_INTENT)
    target = corpus.intents.index(TARGET)
    task = Task(
        seed=seed,
        corpus=corpus,
        split=split,
        shards=dirichlet_shards(split.train, DEVICES, alpha=alpha, seed=seed, copies=COPIES),
        attacks=_attacks(seed, target),
        target=target,
        triggered_test=triggered(split.test[::2], target, seed=seed + TEST_SEED_OFFSET),
        trunk=Trunk(encoder_in(encoder), cache),
    )
    task.trunk.preload(list(task.texts()))
    return task


def _attacks(seed: int, target: int) -> dict[int, Attack]:
    random = Random(seed)  # noqa: S311 - a draw that a seed repeats, no secret
    hostile = random.sample(range(DEVICES), FLIPPERS + BACKDOORS)
    flips: dict[int, Attack] = {device: SignFlip() for device in hostile[:FLIPPERS]}
    return flips | {device: Backdoor(target, seed=seed + device) for device in hostile[FLIPPERS:]}
