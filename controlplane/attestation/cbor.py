"""CBOR as evidence may have it (RFC 8949): each value in its shortest form, of bounded depth, nothing that computes.

Libraries for CBOR read several spellings of a value, and turn tags into numbers, dates and patterns, of any cost.
Evidence needs none of that: numbers, bytes, texts, lists, maps, truth values and tags that the caller asks for by name.
"""

from dataclasses import dataclass
from typing import Any

from controlplane.attestation.interface import EvidenceRefused

MAX_DEPTH = 16

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLES = {20: False, 21: True, 22: None}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag before it."""

    tag: int
    value: Any


def read_cbor(data: bytes, what: str) -> Any:
    """Return the one value that some bytes are.

    Args:
        data: all of it.
        what: names it in refusals.

    Raises:
        EvidenceRefused: ``malformed``: it is not in shortest form, of indefinite length, nested deeper than
            `MAX_DEPTH`, has a key twice, a key that is neither number nor text, a fraction, or something after its end.
    """
    try:
        value, end = _value(data, 0, MAX_DEPTH)
        if end != len(data):
            raise ValueError("something after it")
    except (ValueError, IndexError):
        raise EvidenceRefused("malformed", f"{what} is no CBOR in its shortest form") from None
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth == 0:
        raise ValueError("too deep")
    kind, number, at = _head(data, at)
    if kind == _UNSIGNED:
        return number, at
    if kind == _NEGATIVE:
        return -1 - number, at
    if kind in (_BYTES, _TEXT):
        return _string(data, at, number, kind)
    if kind == _LIST:
        return _list(data, at, number, depth)
    if kind == _MAP:
        return _map(data, at, number, depth)
    if kind == _TAG:
        value, at = _value(data, at, depth - 1)
        return Tagged(number, value), at
    if number not in _SIMPLES:
        raise ValueError("a fraction, or something undefined")
    return _SIMPLES[number], at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    kind, number = data[at] >> 5, data[at] & 0x1F
    at += 1
    if number < 24:
        return kind, number, at
    if number > 27 or kind == _SIMPLE:
        raise ValueError("an indefinite length, or a fraction")
    size = 1 << (number - 24)
    if at + size > len(data):
        raise ValueError("cut short")
    value = int.from_bytes(data[at : at + size], "big")
    if value < (24 if size == 1 else 1 << (4 * size)):
        raise ValueError("not the shortest form")
    return kind, value, at + size


def _string(data: bytes, at: int, length: int, kind: int) -> tuple[bytes | str, int]:
    end = at + length
    if end > len(data):
        raise ValueError("cut short")
    raw = data[at:end]
    return (raw if kind == _BYTES else raw.decode()), end


def _list(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(min(count, len(data))):
        value, at = _value(data, at, depth - 1)
        found.append(value)
    if len(found) != count:
        raise ValueError("cut short")
    return found, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int | str, Any], int]:
    found: dict[int | str, Any] = {}
    for _ in range(min(count, len(data))):
        key, at = _value(data, at, depth - 1)
        if type(key) not in (int, str) or key in found:
            raise ValueError("a key twice, or of another kind")
        found[key], at = _value(data, at, depth - 1)
    if len(found) != count:
        raise ValueError("cut short")
    return found, at
