"""FLTrust: updates count as much as they point where the server's own trusted examples do (arXiv 2012.13995)."""

import torch
from torch.nn.functional import cosine_similarity

from evaluation.comparison.defences.rows import Rows, row_of
from evaluation.comparison.defences.rule import Outcome
from evaluation.comparison.interfaces import Received


def fltrust(rows: Rows, received: Received) -> Outcome:
    """The mean of updates cut or stretched to the reference's length, weighted by the positive part of their cosine.

    Whoever has a cosine of 0 or less is refused. Nothing is left where everybody has.

    Raises:
        ValueError: the round has no reference, or one that does not fit.
    """
    root = None if received.reference is None else row_of(received.reference, received.state)
    if root is None:
        raise ValueError(
            f"round {received.turn}: FLTrust needs a reference of the state's shape and of finite values; "
            "give the server trusted examples, or pick another defence"
        )
    cosines = cosine_similarity(rows.values, root[None], dim=1, eps=1e-30)
    weights = cosines.clamp_min(0.0)
    kept = weights > 0.0
    step = None
    if bool(kept.any()):
        stretched = rows.values / rows.norms.clamp_min(1e-30)[:, None] * root.norm()
        step = (weights / weights.sum()) @ stretched
    return Outcome(step, kept, torch.as_tensor(1.0 - cosines))
