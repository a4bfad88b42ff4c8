"""DID methods of others: each an entry point of one group, used where its name is asked for and nowhere else."""

import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from controlplane.identity.resolving.interface import DidMethod

GROUP = "ztfm.did_methods"
"""Group of entry points. The name is the method's; what it leads to is called without arguments and makes it."""

_NAME = re.compile(r"[a-z0-9]{1,32}")

Make = Callable[[], DidMethod]


class MethodUnusable(Exception):  # noqa: N818 - named for what happened
    """A method that was asked for is not there, or cannot be made. The message names it, and what to do."""


def plugged(names: Iterable[str]) -> dict[str, DidMethod]:
    """Return methods that packages bring, by name.

    Raises:
        MethodUnusable: one of them is not installed, is there twice, or fails.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return {name: _made(name, found.get(name, [])) for name in names}


def _made(name: str, points: list[EntryPoint]) -> DidMethod:
    if not _NAME.fullmatch(name) or len(points) != 1:
        there = "several packages bring" if points else "no installed package brings"
        raise MethodUnusable(f"{there} did:{name}; name others in ZTFM_DID_METHODS, or install it ({GROUP})")
    try:
        make: Make = points[0].load()
        method = make()
    except Exception as error:
        raise MethodUnusable(f"did:{name} of {points[0].value} cannot be made: {error}") from error
    if method.name != name:
        raise MethodUnusable(f"{points[0].value} makes did:{method.name}, and is registered as did:{name}")
    return method
