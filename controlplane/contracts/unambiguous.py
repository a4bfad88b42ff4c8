"""JSON that everybody reads alike, and that no parser can be crashed with (RFC 8259, RFC 8725 section 2.4)."""

import json
import re
from typing import Any

MOST_DEEP = 256
"""Objects and lists within one another. How deep Python's parser goes follows from a limit of the whole process, which
some library may lift far beyond what the stack holds; so it is not asked."""

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class AmbiguousError(ValueError):
    """JSON that not everybody reads alike."""


class TooDeepError(ValueError):
    """JSON that is nested deeper than anything here needs."""


def read_json(raw: bytes) -> Any:
    """Return a JSON document.

    Raises:
        AmbiguousError: a name is repeated within one object, or a number is none that JSON has.
        TooDeepError: it is nested deeper than `MOST_DEEP`.
        ValueError: not UTF-8, or not JSON.
    """
    refuse_deep(raw)
    return _DECODER.decode(raw.decode())


def refuse_deep(raw: bytes) -> None:
    """Refuse JSON that is nested too deeply, before anything parses it.

    Raises:
        TooDeepError: it is nested deeper than `MOST_DEEP`.
    """
    # It is as deep as it has opening brackets, at most; most documents have few.
    if raw.count(b"[") + raw.count(b"{") <= MOST_DEEP:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_TEXT.sub(b"", raw)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MOST_DEEP:
            raise TooDeepError(f"It is nested deeper than {MOST_DEEP} objects and lists.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AmbiguousError("A name is repeated within one object.")
    return found


def _no_constant(_name: str) -> None:
    raise AmbiguousError("NaN and Infinity are not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
