"""Which capability a request needs: by its path, in the one spelling in which it is looked at."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from urllib.parse import unquote

from controlplane.contracts.access import ActionName, Purpose
from controlplane.contracts.base import is_identifier

MAX_BODY_BYTES = 1024 * 1024
MAX_PATH_CHARS = 2048

_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+"
_PATH = re.compile(rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNESCAPED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\")
_PLACE = re.compile(r"\{(resource|round|digest|any)\}")
_WORD = re.compile(r"\{[^/{}]*\}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_plain(path: str) -> bool:
    """Whether a path, as it came, means the same to everybody who reads it (RFC 3986 section 6.2.2).

    That is so without empty or dot segments, without escapes of what needs none, of slashes or of control
    characters, and when what is escaped is UTF-8. Application, proxy and enforcement point could differ on others.
    """
    if len(path) > MAX_PATH_CHARS or not _PATH.fullmatch(path):
        return False
    if any(segment in (".", "..") for segment in path.split("/")):
        return False
    escaped = {int(code, 16) for code in _ESCAPE.findall(path)}
    if any(code in _UNESCAPED or code < 0x20 or code == 0x7F for code in escaped):
        return False
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


class Named(NamedTuple):
    """What a path names.

    Attributes:
        resource: the resource.
        round_id: the round, where the rule's path has a place for it.
        digest: of the weights, where it is known.
    """

    resource: str
    round_id: str | None
    digest: str | None


@dataclass(frozen=True)
class Rule:
    """One kind of request and what it needs.

    Args:
        action: what is done.
        resource: to which resource; none when the path has a place ``{resource}``.
        path: of the requests that it is for; none for every path. ``{resource}``, ``{round}`` and ``{digest}``
            stand for one segment each; ``{any}``, as often as needed, for one that may be anything.
        methods: HTTP methods, in capitals; none for every method. HEAD and OPTIONS are methods like others.
        purpose: what the capability must be for; none takes only those that name no purpose, as for an inference.
        digest: of the weights that are served, where that is known; the capability must be for these.
        resource_type: of the resource.
        max_body_bytes: the most that a request may bring; a capability's ``max_bytes`` may lower it.
        by_shards: the application hands out no more than the shards that the capability names
            (`adapters.sealed.handing`); without it, one that names shards is refused.

    Raises:
        ValueError: nothing says which resource, or the path is none.
    """

    action: ActionName
    resource: str | None = None
    path: str | None = None
    methods: Collection[str] | None = None
    purpose: Purpose | None = None
    digest: str | None = None
    resource_type: str = "model"
    max_body_bytes: int = MAX_BODY_BYTES
    by_shards: bool = False

    def __post_init__(self) -> None:
        places = [place for place in _PLACE.findall(self.path or "") if place != "any"]
        if (self.resource is None) != ("resource" in places):
            raise ValueError("a rule names its resource, or its path has a place {resource} for it")
        if len(set(places)) != len(places) or (self.digest is not None and "digest" in places):
            raise ValueError("a rule names each thing once")
        if self.resource is not None and not is_identifier(self.resource):
            raise ValueError(f"{self.resource!r} is no resource's identifier")
        if self.methods is not None and (isinstance(self.methods, str) or not self.methods):
            raise ValueError("a rule names its methods in a tuple such as ('POST',), or none for every method")
        if self.path is not None:
            _check_path(self.path)

    def names(self, path: str) -> Named | None:
        """Return what a plain path names, or none when the rule is not for it."""
        if self._pattern is None:
            return Named(self.resource or "", None, self.digest)
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        found = {name: unquote(value) for name, value in match.groupdict().items()}
        if not all(is_identifier(found[name]) for name in ("resource", "round") if name in found):
            return None
        if "digest" in found and not _DIGEST.fullmatch(found["digest"]):
            return None
        return Named(self.resource or found["resource"], found.get("round"), found.get("digest", self.digest))

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if self.path is None:
            return None
        parts = re.split(_PLACE, self.path)
        return re.compile("".join(_place(part) if index % 2 else re.escape(part) for index, part in enumerate(parts)))


def _place(name: str) -> str:
    return "[^/]+" if name == "any" else f"(?P<{name}>[^/]+)"


def _check_path(path: str) -> None:
    """Raise for a rule's path that could fit no request, or other ones than its author thinks of."""
    unknown = [word for word in _WORD.findall(path) if not _PLACE.fullmatch(word)]
    if unknown:
        # A misspelt place must not become one that nobody looks at.
        raise ValueError(
            f"{unknown[0]} in {path!r} is no place: there are {{resource}}, {{round}} and {{digest}}, and {{any}} for "
            "a segment that nobody looks at"
        )
    if not is_plain(_PLACE.sub("x", path)):
        raise ValueError(
            f"{path!r} is no plain absolute path: it begins with one slash, and has no query, no dot segments, no "
            "empty ones and no needless escapes"
        )
