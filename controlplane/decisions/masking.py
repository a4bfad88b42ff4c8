"""Keep what policy masks out of the facts that are recorded.

Facts have a fixed shape: a caller's own names can stand in open models and in maps of texts alone, and those places are
known before any request comes. So where nobody added anything and nothing is masked by its place, recording costs
a few look-ups more.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from controlplane.contracts.facts import FACTS
from controlplane.contracts.log import LogTerms

MARKER = "[masked]"
"""Stands in a record where a value was kept out; which ones these are, the record's ``masked`` says."""

Path = tuple[str | None, ...]
"""Steps into the facts; none is any one."""


@dataclass(frozen=True)
class Opening:
    """A place of the facts at which a caller's own names can stand.

    Attributes:
        is_map: all of it is the caller's; else what an open model does not declare.
    """

    path: tuple[str, ...]
    is_map: bool


def openings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Opening]:
    """Give the places of a contract at which a caller's own names can stand.

    Raises:
        TypeError: one is within a list, or a map of objects: it cannot be known before.
    """
    if model.model_config.get("extra") == "allow":
        yield Opening(path, is_map=False)
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            if _is_model(kind):
                yield from openings(kind, (*path, name))
                continue
            inner = [part for some in get_args(kind) for part in _kinds(some)]
            if get_origin(kind) is dict and not all(_is_closed(part) for part in _kinds(get_args(kind)[1])):
                yield Opening((*path, name), is_map=True)
            elif any(_is_model(part) and any(openings(part)) for part in inner):
                raise TypeError(f"{model.__name__}.{name} holds open objects that cannot be named before")


def _kinds(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_closed(kind: Any) -> bool:
    """Whether a map of these is the control plane's: numbers that it measured, or objects of a contract."""
    return kind in (bool, int, float) or _is_model(kind)


_OPENINGS = {package: tuple(openings(model)) for package, model in FACTS.items()}


class Mask:
    """Keeps values out of the facts of one package's decisions.

    Args:
        package: that decides.
        terms: names and places that policy masks; none for everything that a caller added.
    """

    def __init__(self, package: str, terms: LogTerms | None) -> None:
        self._openings = _OPENINGS[package]
        self._is_closed = terms is None
        self._endings = tuple(filter(None, (_bare(name) for name in terms.names))) if terms else ()
        self._pointers = tuple(_steps(pointer) for pointer in terms.pointers) if terms else ()

    def kept(self, facts: BaseModel, document: bytes) -> tuple[bytes, list[str]]:
        """Return what is recorded of facts, and pointers to what was kept out, in order.

        Args:
            facts: as they were validated.
            document: the same as JSON.
        """
        paths: list[Path] = [path for place in self._openings for path in self._named(facts, place)]
        if not paths and not self._pointers:
            return document, []
        less = orjson.loads(document)
        # What holds others goes first: nothing is left in it to point to then.
        paths = sorted([*paths, *self._pointers], key=len)
        masked = sorted({pointer for path in paths for pointer in _mark(less, path)})
        return (orjson.dumps(less), masked) if masked else (document, [])

    def _named(self, facts: BaseModel, place: Opening) -> Iterator[tuple[str, ...]]:
        node: Any = facts
        for name in place.path:
            node = getattr(node, name, None)
        added = node if place.is_map else getattr(node, "__pydantic_extra__", None)
        if added and isinstance(added, dict):
            yield from self._masked(added, place.path)

    def _masked(self, value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                if self._is_closed or _bare(name).endswith(self._endings):
                    yield (*path, name)
                else:
                    yield from self._masked(inner, (*path, name))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self._masked(inner, (*path, str(index)))


@lru_cache(maxsize=4096)
def _bare(name: str) -> str:
    """Return the letters and digits of a name, without their case: ``API-Key`` is ``apikey``."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def _steps(pointer: str) -> Path:
    parts = pointer.split("/")[1:]
    return tuple(None if part == "*" else part.replace("~1", "/").replace("~0", "~") for part in parts)


def _mark(node: Any, path: Path, at: str = "") -> Iterator[str]:
    """Put the marker wherever a path leads, and give pointers (RFC 6901) to there."""
    step, rest = path[0], path[1:]
    places: dict[str, Any] = {}
    if isinstance(node, dict):
        places = {name: name for name in node}
    elif isinstance(node, list):
        places = {str(index): index for index in range(len(node))}
    for name in places if step is None else places.keys() & {step}:
        pointer = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if rest:
            yield from _mark(node[places[name]], rest, pointer)
        else:
            node[places[name]] = MARKER
            yield pointer
