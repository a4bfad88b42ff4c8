"""Tell a denial so that its root comes first.

Policy names everything that was not shown to hold, and much of that follows from one thing: of a model that nobody
registered no purpose, segment or limit can hold either. Whoever reads a denial begins at its root.
"""

from collections.abc import Sequence

from controlplane.contracts.access import AccessReason

ROOTS = (
    "token_valid",
    "resource_known",
    "role_granted",
    "round_known",
    "update_shaped",
    "update_finite",
    "update_measured",
)
"""Codes without which others cannot hold, the deepest first."""

_FOLLOWING = "May follow from it:"


def rooted(reasons: Sequence[AccessReason]) -> list[AccessReason]:
    """Return the reasons of one denial, roots first; the rest keep their order."""
    depth = {code: place for place, code in enumerate(ROOTS)}
    return sorted(reasons, key=lambda reason: depth.get(reason.code, len(ROOTS)))


def told(reasons: Sequence[AccessReason]) -> str:
    """Return a denial's reasons in one line for people: a root whole, what may follow from it by its code alone."""
    if not reasons:
        return ""
    first, *rest = rooted(reasons)
    if first.code not in ROOTS or not rest:
        return " ".join(reason.told for reason in (first, *rest))
    return f"{first.told} {_FOLLOWING} {', '.join(reason.code for reason in rest)}."


def cause_of(reasons: Sequence[AccessReason]) -> str:
    """Return the code that stands for a denial: that of its root, or of its first reason; `denied` without any."""
    return rooted(reasons)[0].code if reasons else "denied"
