"""Which versions of the schema this code serves: its own, older ones that it brings up, and the next release's.

A migration bears four digits, and from the second release on that release before them: ``0015``, ``r2_0016``. A
release's migrations only add (tables, columns with a default or none, indexes), so the code of the release before works
on what they made, while an upgrade is under way. What nobody uses any more goes a release later. So a name says enough
to tell "made by the next release" from "made by one after that", without knowing either.
"""

import re
from collections.abc import Collection
from typing import Literal

Standing = Literal["empty", "current", "older", "next", "unknown"]
"""How a store stands to this code: without a schema, of this version, to be brought up, of the release after this one,
or of none that can be served here."""

_NAME = re.compile(r"(?:r(?P<release>[1-9]\d{0,3})_)?\d{4}")


def release_of(revision: str) -> int | None:
    """Return the release of a migration, or none where that is no name of one."""
    found = _NAME.fullmatch(revision)
    return None if found is None else int(found["release"] or 1)


def standing(found: str | None, head: str, known: Collection[str]) -> Standing:
    """Return how a store stands to this code.

    Args:
        found: the latest migration of the store; none where it has none.
        head: the latest one of this code.
        known: all of this code's.
    """
    if found is None:
        return "empty"
    if found == head:
        return "current"
    if found in known:
        return "older"
    theirs, ours = release_of(found), release_of(head)
    return "next" if theirs is not None and ours is not None and theirs == ours + 1 else "unknown"
