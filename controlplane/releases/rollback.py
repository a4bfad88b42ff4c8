"""Which release one goes back to: what decided before, as undo goes in an editor.

Publishing puts a bundle on top; going back takes it off, for good: it is not what the next step back leads to. So after
A, B, a step back to A and then C, a step back from C leads to A, and not to B, which somebody had a reason to leave.
A bundle that was released twice in a row counts once. Going back to a revision by name takes off what lies above it;
one that was taken off before is put on top again.
"""

from collections.abc import Iterable, Sequence

from controlplane.contracts.policies import Release
from controlplane.releases.errors import NoSuchRelease


def previous(history: Sequence[Release]) -> Release:
    """Return the release to go back to.

    Args:
        history: the releases of one layer, newest first; the first of them is the current one.

    Raises:
        NoSuchRelease: nothing lies below the current one, as far as releases are kept.
    """
    stack = _stack(reversed(history))
    if len(stack) < 2:
        raise NoSuchRelease("nothing that was released before the current one is kept; name a revision, or publish")
    return stack[-2]


def named(history: Sequence[Release], revision: str) -> Release:
    """Return the newest release of a revision.

    Raises:
        NoSuchRelease: it was never released or is no longer kept, or it is the current one.
    """
    if history and history[0].revision == revision:
        raise NoSuchRelease(f"{revision} is what is to decide already")
    for release in history:
        if release.revision == revision:
            return release
    raise NoSuchRelease(f"no release of revision {revision} is kept; `ztfm policy status` lists those that are")


def _stack(releases: Iterable[Release]) -> list[Release]:
    stack: list[Release] = []
    for release in releases:
        below = [index for index, item in enumerate(stack) if item.digest == release.digest]
        if release.origin == "rolled_back" and below:
            del stack[below[-1] + 1 :]
        elif not stack or stack[-1].digest != release.digest:
            stack.append(release)
    return stack
