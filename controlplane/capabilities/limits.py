"""Keep the limits of a capability that only whoever has the thing in hand can measure."""

from controlplane.capabilities.refusals import Cause, Refused
from controlplane.contracts.capability import Constraints

_DETAILS: dict[Cause, str] = {
    "too_large": "What came is larger than the capability allows.",
    "norm_exceeded": "The norm of the update is larger than the capability allows.",
}


def exceeded(limits: Constraints, *, size_bytes: int | None = None, norm: float | None = None) -> Refused | None:
    """Return why something is beyond ``limits``, or none; what cannot be compared is beyond them.

    Args:
        limits: of the capability that it came with.
        size_bytes: of what is pulled or submitted; none where that is not known.
        norm: L2 norm of the update; none where that is not known.
    """
    if size_bytes is not None and limits.max_bytes is not None and not size_bytes <= limits.max_bytes:
        return _refused("too_large")
    if norm is not None and limits.max_norm is not None and not norm <= limits.max_norm:
        return _refused("norm_exceeded")
    return None


def _refused(cause: Cause) -> Refused:
    return Refused(cause, _DETAILS[cause])
