"""What aggregator and collaborators ask each other beside tasks: flat mappings of text, in OpenFL's own messages.

OpenFL's protocol has three calls, all of them the collaborator's. A question is a task of this name; what it asks is
fetched as a tensor of this name, and answered with results of this task.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from openfl.protocols.base_pb2 import NamedTensor

QUESTION = "ztfm"
"""Names what is ours: a task, a tensor, a part of a task's results."""

FAILED, TICKET, TASK = "failed", "ticket", "task"
"""Of a question or an answer, beside what `adapters.admission` and the fields of credentials have."""

_MOST_BYTES = 1 << 16
_TICKET_TAG = "ztfm.ticket="


def packed(ours: Mapping[str, str]) -> NamedTensor:
    """Return a flat mapping of text as OpenFL carries it."""
    return NamedTensor(name=QUESTION, tags=[QUESTION], data_bytes=json.dumps(dict(ours)).encode())


def unpacked(tensors: Iterable[NamedTensor]) -> dict[str, str]:
    """Return what is ours among untrusted tensors; empty when there is nothing that could be ours."""
    raw = next((one.data_bytes for one in tensors if one.name == QUESTION), b"")
    if not 0 < len(raw) <= _MOST_BYTES:
        return {}
    try:
        found = json.loads(raw)
        # Half of a surrogate pair is a text here, and cannot be written anywhere.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return {}
    return found


def ticketed(tags: Sequence[str], ticket: str) -> tuple[str, ...]:
    """Return the tags of a request for weights that bears a ticket."""
    return (*tags, _TICKET_TAG + ticket)


def ticket_of(tags: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the ticket that a request bears, empty for none, and its other tags."""
    borne = [tag.removeprefix(_TICKET_TAG) for tag in tags if tag.startswith(_TICKET_TAG)]
    others = tuple(tag for tag in tags if not tag.startswith(_TICKET_TAG))
    return (borne[0] if len(borne) == 1 else ""), others
