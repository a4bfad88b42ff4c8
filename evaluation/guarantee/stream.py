"""A stream of evidence: what screening measures on the homes of one federation, round after round.

Homes keep their sentences and their federation for all rounds, so that who is unlike the others is so for good, which
is the hardest case for the guarantee. The global model is learnt anew every so many rounds, as it is when one model
succeeds another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapters.screening import Manifest, Screener
from controlplane.contracts.evidence import UpdateEvidence
from evaluation.federation.plan import FULL
from evaluation.guarantee.fleet import Data, State, reference, shards, train
from evaluation.smart_home.attacks import Attack, Knowledge

SHARD = 182
"""Sentences of a home, as in the demo."""

SHIFTED_ALPHA = 0.2
"""Factor on a home's ``alpha`` when its data shift."""


@dataclass(frozen=True)
class Federation:
    """One federation; it trains as the demo does.

    Attributes:
        seed: fixes all draws.
        alpha: of the Dirichlet distribution that label mixes are drawn from.
        homes: how many.
        rounds: how many.
        per_model: rounds until the global model is learnt anew.
        shifting: homes whose data change for good half-way: other labels, and fewer.
        hostile: homes that send what ``attack`` makes of their updates, in every round; the last ones.
        attack: of those.
        has_root: the server has trusted sentences to compare with; without them, each update is compared with the
            centre of the others.
    """

    seed: int
    alpha: float
    homes: int = 20
    rounds: int = 200
    per_model: int = FULL.rounds
    shifting: int = 0
    hostile: int = 0
    attack: Attack | None = None
    has_root: bool = True

    @property
    def names(self) -> list[str]:
        """Subjects by home."""
        return [f"home-{self.seed}-{home}" for home in range(self.homes)]

    @property
    def honest(self) -> list[str]:
        """Subjects that are honest, whether their data shift or not."""
        return self.names[: self.homes - self.hostile]

    @property
    def shifted(self) -> list[str]:
        """Subjects whose data shift."""
        return self.names[: self.shifting]


def evidence(data: Data, federation: Federation) -> Iterator[dict[str, UpdateEvidence]]:
    """Yield each round's evidence by subject."""
    generator = torch.Generator().manual_seed(federation.seed)
    before, after = _shards(data, federation)
    screener = Screener(seed=federation.seed)
    manifest = Manifest.of(data.train.initial())
    kept = federation.homes - federation.hostile
    for turn in range(federation.rounds):
        since = turn % federation.per_model
        if since == 0:
            state = data.train.initial()
        shard = before if turn < federation.rounds // 2 else after
        pace = FULL.decay**since
        own = train(data.train, state, shard, pace * FULL.local.rate, pace * FULL.local.adapter_rate, generator)
        root = None
        if federation.has_root:
            root = reference(data, state, pace * FULL.root.rate, pace * FULL.root.adapter_rate, generator)
        yield screener.screen(_sent(own, federation, turn), manifest, reference=root)
        state = {name: value + FULL.server_rate * own[name][:kept].mean(dim=0) for name, value in state.items()}


def _shards(data: Data, federation: Federation) -> tuple[Tensor, Tensor]:
    """Each home's sentences before and after the shift, (homes, `SHARD`)."""
    rng = np.random.default_rng(federation.seed)
    before = shards(data.train.labels, federation.homes, SHARD, federation.alpha, rng)
    after = before.clone()
    if federation.shifting:
        alpha = SHIFTED_ALPHA * federation.alpha
        after[: federation.shifting] = shards(data.train.labels, federation.shifting, SHARD, alpha, rng)
    return before, after


def _sent(own: State, federation: Federation, turn: int) -> Mapping[str, State]:
    updates = [{name: value[home] for name, value in own.items()} for home in range(federation.homes)]
    if federation.attack is not None:
        kept = federation.homes - federation.hostile
        honest, allies = updates[:kept], dict(enumerate(updates[kept:], kept))
        for home, update in allies.items():
            updates[home] = federation.attack.distort(update, Knowledge(home, turn + 1, honest, allies))
    return dict(zip(federation.names, updates, strict=True))
