"""What somebody says of something, in names and values of their own: any JSON object that is small enough."""

from typing import Annotated, Any

from pydantic import AfterValidator, JsonValue, WithJsonSchema

MAX_MEMBERS = 32
"""Members of an object."""

MAX_ITEMS = 64
"""Items of a list."""

MAX_DEPTH = 4
"""Objects and lists within each other, the claims themselves not counted."""

MAX_NAME = 128
MAX_TEXT = 1024
MAX_NUMBER = 2**53
MAX_VALUES = 256
"""Values in all, wherever they stand."""

MAX_CHARACTERS = 16_384
"""Characters in all, of names and texts."""


def _bounded(claims: dict[str, JsonValue]) -> dict[str, JsonValue]:
    characters = 0
    waiting: list[tuple[JsonValue, int]] = [(claims, 0)]
    for count, (value, depth) in enumerate(waiting):
        characters += _examined(value)
        if count > MAX_VALUES or characters > MAX_CHARACTERS:
            raise ValueError(f"at most {MAX_VALUES} values and {MAX_CHARACTERS} characters in all")
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        if isinstance(value, dict | list) and depth >= MAX_DEPTH:
            raise ValueError(f"objects and lists are nested at most {MAX_DEPTH} deep")
        waiting += [(one, depth + 1) for one in inner]
    return claims


def _examined(value: JsonValue) -> int:
    """Return the characters that a value adds by itself.

    Raises:
        ValueError: it is too large by itself.
    """
    if isinstance(value, dict):
        if len(value) > MAX_MEMBERS or any(len(name) > MAX_NAME for name in value):
            raise ValueError(f"an object has at most {MAX_MEMBERS} members, under names of {MAX_NAME} characters")
        return sum(map(len, value))
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"a text has at most {MAX_TEXT} characters")
        return len(value)
    if isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise ValueError(f"a list has at most {MAX_ITEMS} items")
    elif value is not None and not abs(value) <= MAX_NUMBER:
        raise ValueError("a number lies within 53 bits (RFC 7493)")
    return 0


def _schema(levels: int) -> dict[str, Any]:
    scalars: list[dict[str, Any]] = [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
        {"type": "string", "maxLength": MAX_TEXT},
    ]
    if levels == 0:
        return {"anyOf": scalars}
    inner = _schema(levels - 1)
    return {"anyOf": [*scalars, {"type": "array", "items": inner, "maxItems": MAX_ITEMS}, _object_of(inner)]}


def _object_of(values: dict[str, Any]) -> dict[str, Any]:
    names = {"maxLength": MAX_NAME}
    return {"type": "object", "additionalProperties": values, "propertyNames": names, "maxProperties": MAX_MEMBERS}


Claims = Annotated[dict[str, JsonValue], AfterValidator(_bounded), WithJsonSchema(_object_of(_schema(MAX_DEPTH - 1)))]
"""A JSON object that is small enough: see the bounds above."""
