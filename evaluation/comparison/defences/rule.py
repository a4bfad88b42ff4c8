"""What most defences are: a rule from a round's rows to one vector, with a word on everybody."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.interfaces import Aggregated, Received

WORST = 1e6
"""How hostile an update looks with which nothing can be computed, and the most that any looks."""


@dataclass(frozen=True)
class Outcome:
    """What a rule makes of rows.

    Attributes:
        vector: the step, [values]; none where nothing was left.
        kept: which rows had a part in it, [devices], bool.
        suspicion: how hostile each looks, [devices]; the larger the more.
    """

    vector: Tensor | None
    kept: Tensor
    suspicion: Tensor


Rule = Callable[[Rows, Received], Outcome]


@dataclass(frozen=True)
class ByRule:
    """A defence that is a rule. Unfit updates are refused before it sees any.

    Attributes:
        name: a word for files and tables.
        rule: given at least one row.
        remembers: 0; a rule that looks back keeps what it needs itself.
    """

    name: str
    rule: Rule
    remembers: int = 0

    def aggregate(self, received: Received) -> Aggregated:
        """Return what the rule makes of a round.

        Raises:
            ValueError: the rule needs a reference, and the round has none.
        """
        rows = Rows.of(received)
        suspected = dict.fromkeys(rows.unfit, WORST)
        if not rows.devices:
            return Aggregated(None, rows.unfit, suspected)
        outcome = self.rule(rows, received)
        looks = torch.nan_to_num(outcome.suspicion, nan=WORST, posinf=WORST).clamp(-WORST, WORST).tolist()
        kept = outcome.kept.tolist()
        refused = {device for device, is_kept in zip(rows.devices, kept, strict=True) if not is_kept}
        return Aggregated(
            None if outcome.vector is None else rows.update(outcome.vector),
            rows.unfit | refused,
            suspected | dict(zip(rows.devices, looks, strict=True)),
        )


def everybody(rows: Rows) -> Tensor:
    """That each row had a part, [devices]."""
    return torch.ones(len(rows.devices), dtype=torch.bool)
