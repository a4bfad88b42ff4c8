"""Where harm lies for whoever wants the model to unlearn: against all that it was moved by so far."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.smart_home.attacks.attack import Knowledge
from evaluation.smart_home.attacks.vectors import flat, stacked


def harmful(known: Knowledge) -> Tensor:
    """The direction, of length 1, that undoes what was learnt: against the sum of all rounds' mean updates, [values].

    The honest updates of this round count as their mean does; of earlier rounds all updates count. It has no length
    where nothing was learnt.

    Args:
        known: with at least one honest update of this round.

    Raises:
        ValueError: there is none.
    """
    learnt = stacked(known.honest).double().mean(0)
    for cohort in known.history:
        if cohort:
            learnt = learnt + torch.stack([flat(update).double() for update in cohort.values()]).mean(0)
    return normalize(-learnt, dim=0, eps=1e-30)


def beside(direction: Tensor, axis: Tensor) -> Tensor:
    """The part of ``direction`` across ``axis``, of length 1; without length where there is hardly any.

    Args:
        direction: [values].
        axis: [values], of length 1 or without length.
    """
    across = direction - (direction @ axis) * axis
    across = across - (across @ axis) * axis
    if float(across.norm()) <= 1e-6 * float(direction.norm()):
        return torch.zeros_like(across)
    return normalize(across, dim=0, eps=1e-30)
