"""Documents that somebody changed: one part of them taken away, doubled, or put in another's place."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_OTHERS: tuple[Any, ...] = (
    None,
    True,
    0,
    22,
    -1,
    0.5,
    "",
    "accept",
    "10.0.0.0/8",
    "*",
    [],
    {},
    [{}],
    {"concat": []},
    {"elem": {}},
)
_GONE = object()


def changed(document: Any) -> st.SearchStrategy[Any]:
    """A document with one part changed, anywhere in it."""
    places = list(_places(document))
    return st.builds(_at, st.just(document), st.sampled_from(places), st.sampled_from([_GONE, *_OTHERS]))


def _places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _at(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copied = copy.deepcopy(document)
    *way, last = path
    part = copied
    for key in way:
        part = part[key]
    if value is _GONE:
        del part[last]
    else:
        part[last] = copy.deepcopy(value)
    return copied
