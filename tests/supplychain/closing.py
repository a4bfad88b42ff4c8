"""What an installation depends on, from the metadata of what is installed and from Go's module file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = "ztfm"

INSTALLATIONS: Mapping[str, Sequence[str]] = {
    "base": (),
    "server": ("server",),
    "server on PostgreSQL": ("server", "postgres"),
    "demo": ("demo",),
}
"""What is commonly installed, by the extras that are asked for."""

_MODULE = re.compile(r"^\s*(?:require\s+)?(\S+)\s+(v\S+)(\s*//\s*indirect)?\s*$")


@cache
def closure(extras: Sequence[str]) -> Mapping[str, Distribution]:
    """Return what an installation with these extras depends on here, by name; the project itself is not in it.

    Raises:
        PackageNotFoundError: something of it is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting, seen = [(PROJECT, frozenset(extras))], set()
    while waiting:
        asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        here = distribution(asked[0])
        if asked[0] != PROJECT:
            found[asked[0]] = here
        waiting += _needed(here, asked[1])
    return dict(sorted(found.items()))


def _needed(here: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for text in here.requires or ():
        needs = Requirement(text)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if needs.marker is None or any(needs.marker.evaluate(one) for one in environments):
            yield canonicalize_name(needs.name), frozenset(needs.extras)


def needed_by(here: Distribution, among: Mapping[str, Distribution]) -> list[str]:
    """Return which of ``among`` a distribution asks for itself, whatever extra asks."""
    named = {canonicalize_name(Requirement(text).name) for text in here.requires or ()}
    return sorted(named & among.keys())


def modules(text: str) -> dict[str, tuple[str, bool]]:
    """Return the modules of a ``go.mod``: version, and whether it is asked for directly."""
    lines = (_MODULE.match(line) for line in text.splitlines())
    return {found[1]: (found[2], found[3] is None) for found in lines if found}


def count(extras: Sequence[str]) -> tuple[int, int]:
    """Return how many distributions an installation asks for itself, and how many it gets."""
    whole = closure(extras)
    direct = {name for name, _ in _needed(distribution(PROJECT), frozenset(extras)) if name != PROJECT}
    inner = {name for extra in extras for name in _of_extra(extra)}
    return len((direct | inner) & whole.keys()), len(whole)


def _of_extra(extra: str) -> Iterator[str]:
    """Names that an extra asks for, those of other extras of the project that it names included."""
    for name, further in _needed(distribution(PROJECT), frozenset({extra})):
        if name != PROJECT:
            yield name
        else:
            for one in further - {extra}:
                yield from _of_extra(one)


__all__ = ["INSTALLATIONS", "PROJECT", "ROOT", "PackageNotFoundError", "closure", "count", "modules", "needed_by"]
