"""What a site is told of an update, measured where the tensors are. Needs torch."""

import math
from collections.abc import Mapping

from torch import Tensor, linalg

from adapters.member import Member
from adapters.screening import Manifest, update_digest
from controlplane.contracts.site import SiteLimits

_ROUNDING = 1e-4


def norm_of(update: Mapping[str, object]) -> float | None:
    """Return the L2 norm of all tensors of an update together; none where that is no number."""
    squares = []
    for value in update.values():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return None
        squares.append(float(linalg.vector_norm(value.detach().double())) ** 2)
    norm = math.sqrt(math.fsum(squares)) if all(map(math.isfinite, squares)) else math.inf
    return norm if math.isfinite(norm) and norm <= 1e12 else None


def within(update: Mapping[str, object], limits: SiteLimits) -> Mapping[str, object]:
    """Return an update scaled back to the norm that a site lets out; the same where it is within, or has no norm.

    Args:
        update: by name.
        limits: of the site (`Member.allowance`).
    """
    norm, most = norm_of(update), limits.max_norm
    if norm is None or most is None or norm <= most:
        return update
    # A little less: what is added to weights and taken off again is rounded twice.
    scale = most / norm * (1.0 - _ROUNDING)
    return {name: value * scale for name, value in update.items() if isinstance(value, Tensor)}


def describe(member: Member, update: Mapping[str, object], examples: int, epsilon: float | None = None) -> None:
    """Tell a member's site what an update is, before it is submitted; nothing where there is no site.

    Args:
        member: whose it is.
        update: by name, trained minus received, as it will be submitted.
        examples: of the site's data behind it.
        epsilon: that it spends of the privacy budget; none where it adds no noise.

    Raises:
        Vetoed: the site cannot keep it.
        ValueError: a value is not of its kind.
    """
    tensors = {name: value for name, value in update.items() if isinstance(value, Tensor)}
    if member.site is not None and len(tensors) == len(update):
        digest = update_digest(tensors, Manifest.of(tensors))
        member.describe(digest, norm=norm_of(tensors), examples=examples, epsilon=epsilon)
