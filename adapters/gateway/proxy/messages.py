"""The messages of a chat: who says them, and of what parts they are made."""

from collections.abc import Iterator
from typing import Any, Final

from adapters.gateway.proxy import documents
from adapters.gateway.proxy.refusing import unfit, unsupported

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
"""Who may say a message."""

MOST_MESSAGES: Final = 1024

_MESSAGE = {
    *("role", "content", "name", "refusal", "tool_calls", "tool_call_id", "function_call"),
    *("reasoning", "reasoning_content"),
}
_CALL, _FUNCTION = {"id", "type", "index", "function"}, {"name", "arguments"}
_PICTURE = "data:image/"


def media_of(messages: Any, *, allowed: bool) -> list[str]:
    """Return the pictures within messages.

    Addresses that the model server would fetch are refused: it would reach for whoever is named there.

    Raises:
        Refused: these are no messages, or a part of one cannot be looked into.
    """
    if not isinstance(messages, list) or not 0 < len(messages) <= MOST_MESSAGES:
        raise unfit(f"The member messages is a list of 1 to {MOST_MESSAGES} messages.")
    return [url for message in messages for part in _parts(message) if (url := _picture(part, allowed=allowed))]


def said_in(messages: list[dict[str, Any]]) -> list[str]:
    """Return the texts of messages that `media_of` took: all but who says them, and what kind a part is of."""
    return [text for message in messages for text in _said(message)]


def _said(message: dict[str, Any]) -> Iterator[str]:
    for name, value in message.items():
        if name == "content" and isinstance(value, list):
            yield from (part[part["type"]] for part in value if part["type"] != "image_url")
        elif name == "tool_calls":
            for call in value or ():
                yield from documents.strings({"id": call.get("id"), "function": call.get("function")})
        elif name != "role":
            yield from documents.strings(value)


def _parts(message: Any) -> list[Any]:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(role, str) or role not in ROLES:
        raise unfit(f"A message is an object with a role of: {', '.join(sorted(ROLES))}.")
    _require(message, _MESSAGE, "A message")
    for name in message.keys() - {"role", "content", "tool_calls", "function_call"}:
        _require_text(message[name], f"The member {name} of a message")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise unfit("The tool calls of a message are a list.")
    for call in calls:
        _require(call, _CALL, "A tool call")
        _require_text(call.get("id"), "The id of a tool call")
        if call.get("type", "function") != "function" or not isinstance(call.get("index", 0), int):
            raise unfit("A tool call is of the type function, and its index is a number.")
        _require_function(call.get("function"))
    if message.get("function_call") is not None:
        _require_function(message["function_call"])
    content = message.get("content")
    if content is None or isinstance(content, str):
        return []
    if not isinstance(content, list):
        raise unfit("The content of a message is a text, or a list of parts.")
    return content


def _require_function(function: Any) -> None:
    _require(function, _FUNCTION, "The function of a call")
    for name in _FUNCTION:
        _require_text(function.get(name), f"The {name} of the function of a call")


def _require_text(value: Any, what: str) -> None:
    if value is not None and not isinstance(value, str):
        raise unfit(f"{what} is a text.")


def _require(value: Any, known: set[str], what: str) -> None:
    if not isinstance(value, dict):
        raise unfit(f"{what} is an object.")
    unknown = sorted(value.keys() - known)
    if unknown:
        # A template may show the model whatever there is.
        raise unfit(
            f"{what} has members that are not taken here: {', '.join(one[:64] for one in unknown[:8])}.", "member"
        )


def _picture(part: Any, *, allowed: bool) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        _require(part, {"type", kind}, "A part of a message")
        return None
    if kind != "image_url" or not allowed:
        raise unsupported("The parts of a message are texts; others cannot be looked into.")
    named = part.get("image_url")
    url = named.get("url") if isinstance(named, dict) else None
    if not isinstance(url, str) or not url.startswith(_PICTURE):
        raise unsupported(f"A picture comes in the message itself ({_PICTURE}...): no address is fetched.")
    _require(part, {"type", "image_url"}, "A picture")
    _require(named, {"url", "detail"}, "A picture")
    if named.get("detail") not in (None, "auto", "low", "high"):
        raise unfit("The detail of a picture is auto, low or high.")
    return url
