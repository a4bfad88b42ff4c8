"""The query within a request's body, for the common shapes of inference APIs."""

import json
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

Query = str | Sequence[float]
"""What a model is asked: a text, or a vector of features."""

Reader = Callable[[bytes], Query | None]
"""Finds the query of a body; none where there is none that it knows."""

MAX_BYTES = 65_536
"""Of a body that is looked into; of a larger one its size alone counts."""

_MAX_LENGTH = 16_384
_MEMBERS = ("prompt", "text", "query", "question", "messages", "input", "inputs", "instances", "features", "data")


def read_query(body: bytes) -> Query | None:
    """Return what a JSON body asks, from the member that names it; texts and vectors within lists are joined.

    Of chat messages, those of the user count: what a system prompt says, the application says.
    """
    if len(body) > MAX_BYTES:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return _query(document)
    return next((found for name in _MEMBERS if (found := _query(document.get(name)))), None)


def _query(value: Any) -> Query | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or len(value) > _MAX_LENGTH:
        return None
    numbers = _numbers(value)
    if numbers:
        return numbers
    return "\n".join(text for one in value if (text := _text(one))) or None


def _numbers(values: Sequence[Any]) -> list[float]:
    """Return a list of numbers, or of lists of them, as one vector; empty for any other."""
    flat: list[float] = []
    for value in values:
        inner = value if isinstance(value, list) else [value]
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in inner):
            return []
        flat.extend(inner)
        if len(flat) > _MAX_LENGTH:
            return []
    try:
        return [float(one) for one in flat] if all(map(isfinite, flat)) else []
    except OverflowError:
        return []


def _text(value: Any) -> str:
    """Return the text of a message, or of a part of one."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or value.get("role", "user") != "user":
        return ""
    content = value.get("content", value.get("text"))
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
