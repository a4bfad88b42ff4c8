"""JSON that means the same to everybody who reads it, and the texts within it."""

import json
from collections.abc import Callable, Collection, Iterator
from math import isfinite
from typing import Any

MAX_DEPTH = 64
"""Of lists and objects within one another."""


class Unread(ValueError):  # noqa: N818 - says what the body is, for whoever sent it
    """A body is not the one JSON document that everybody reads alike."""


def read(body: bytes) -> Any:
    """Return the document of a body.

    A member that is there twice, an escape of half a character, NaN, another encoding than UTF-8, and lists that are
    nested deeper than `MAX_DEPTH` are read differently by different servers, or bring one down (RFC 8259 sections 4,
    8.1 and 8.2): what the gateway looked at would not be what the model sees.

    Raises:
        Unread: it is none.
    """
    try:
        text = body.decode("utf-8", errors="strict")
        document = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
        # Half a surrogate pair has no bytes in UTF-8.
        for one in strings(document):
            one.encode()
    except UnicodeError:
        raise Unread("the body is no UTF-8 text") from None
    except RecursionError:
        raise Unread(f"the body is nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise Unread(str(error) if isinstance(error, Unread) else "the body is no JSON document") from None
    return document


def written(document: Any) -> bytes:
    """Return a document as it is sent on: in one spelling, whatever it came in."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def strings(value: Any, without: Collection[str] = (), depth: int = MAX_DEPTH) -> Iterator[str]:
    """Give out every string in a document, but for those of members in ``without``. Names of members are none.

    Raises:
        Unread: it is nested too deep.
    """
    if isinstance(value, str):
        yield value
        return
    if depth == 0 and isinstance(value, (dict, list)):
        raise Unread(f"the body is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for name, one in value.items():
            if name not in without:
                yield from strings(one, without, depth - 1)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one, without, depth - 1)


def names(value: Any) -> Iterator[str]:
    """Give out the names of all members in a document: whoever writes it chooses these too."""
    if isinstance(value, dict):
        yield from value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names(one)


def numbers(value: Any) -> Iterator[str]:
    """Give out as JSON each outermost list that has numbers alone, and the numbers that are members of each object."""
    if isinstance(value, dict):
        own = {name: one for name, one in value.items() if isinstance(one, (int, float))}
        if own:
            yield written(own).decode()
        for one in value.values():
            if isinstance(one, (dict, list)):
                yield from numbers(one)
    elif isinstance(value, list):
        if value and _is_numeric(value):
            yield written(value).decode()
            return
        own_list = [one for one in value if isinstance(one, (int, float))]
        if own_list:
            yield written(own_list).decode()
        for one in value:
            if isinstance(one, (dict, list)):
                yield from numbers(one)
    elif isinstance(value, (int, float)):
        yield written(value).decode()


def replaced(value: Any, change: Callable[[str], str], without: Collection[str] = ()) -> Any:
    """Return a document with ``change`` made to each of its strings, but for those that are members in ``without``."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            name: one if name in without and isinstance(one, str) else replaced(one, change, without)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [replaced(one, change, without) for one in value]
    return value


def unreplaced(value: Any, without: Collection[str]) -> Iterator[str]:
    """Give out the strings that `replaced` leaves as they are."""
    if isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, str):
                yield from [one] if name in without else []
            else:
                yield from unreplaced(one, without)
    elif isinstance(value, list):
        for one in value:
            yield from unreplaced(one, without)


def dropped(value: Any, names: Collection[str]) -> Any:
    """Return a document without the members of these names, wherever they are."""
    if isinstance(value, dict):
        return {name: dropped(one, names) for name, one in value.items() if name not in names}
    return [dropped(one, names) for one in value] if isinstance(value, list) else value


def whole(value: Any, least: int, most: int) -> int | None:
    """Return a whole number within bounds, or none: no true or false, no text, no fraction."""
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_numeric, value))
    return value is None or isinstance(value, (int, float))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unread("a member of the body is there twice")
    for name in found:
        name.encode()
    return found


def _finite(text: str) -> float:
    found = float(text)
    if not isfinite(found):
        raise Unread("a number of the body is larger than numbers are")
    return found


def _no_constant(name: str) -> Any:
    raise Unread(f"{name} is no number in JSON")
