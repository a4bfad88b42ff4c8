"""Read which sealed round a message belongs to, from the message itself, before any of it is handed out.

The guarded strategy puts the round's terms beside the app's records. Until they have arrived, nothing is known.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from flwr.app import ConfigRecord
from flwr.proto.message_pb2 import PullObjectResponse

from adapters.credentials import RoundTerms
from adapters.flower.proxy.fleet import DecodeError
from adapters.flower.proxy.headers import AnnouncedRound
from adapters.flower.questions import stage_of
from adapters.flower.records import RECORD

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Returns an object's content by its id; none when it has not arrived."""

_DIVIDER = b"\x00"


class NotArrived(Exception):  # noqa: N818 - a state, as callers see it
    """The SuperLink does not have the object yet."""


async def announced_round(contents_id: str, fetch: Fetch, audience: str) -> AnnouncedRound | None:
    """Return the round that a message names, for this proxy, or none when it names none.

    Args:
        contents_id: of the object that names the message's records.
        fetch: returns objects.
        audience: of this proxy.

    Raises:
        NotArrived: the objects that say so are not there yet.
    """
    record_id = _names(await _fetched(contents_id, fetch)).get(RECORD)
    if not isinstance(record_id, str):
        return None
    try:
        record = ConfigRecord.inflate(await _fetched(record_id, fetch))
        terms = RoundTerms.from_dict(record)
    except (ValueError, TypeError, KeyError, AttributeError, DecodeError):
        # Flower's own reader stumbles over a record that has a name without a value.
        return None
    stage = stage_of(record)
    if stage not in ("train", "evaluate"):
        return None
    return AnnouncedRound(replace(terms, audience=audience), "train" if stage == "train" else "evaluate")


def object_in(body: bytes, object_id: str) -> bytes | None:
    """Return the object of a PullObjectResponse, or none when it is not there, or is not the one that was asked for."""
    try:
        response = PullObjectResponse.FromString(body)
    except DecodeError:
        return None
    content = bytes(response.object_content)
    is_it = response.object_available and hashlib.sha256(content).hexdigest() == object_id
    return content if is_it else None


async def _fetched(object_id: str, fetch: Fetch) -> bytes:
    content = await fetch(object_id)
    if content is None:
        raise NotArrived(object_id)
    return content


def _names(content: bytes) -> Mapping[str, Any]:
    """Return the ids of a RecordDict's records by name; nothing for what is none."""
    head, _, body = content.partition(_DIVIDER)
    try:
        found = json.loads(body) if head.startswith(b"RecordDict ") else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
