"""Masked records are read for what they are: with a marker where a value was."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from controlplane.decisions.masking import MARKER
from controlplane.history.records import Recorded, allowed_alike, parse
from controlplane.storage import open_store

FACTS: dict[str, Any] = {
    "subject": {"type": "device", "id": "dev-1", "properties": {"segment": "homes"}},
    "resource": {"type": "model", "id": "m"},
}


def record(name: str, **changes: Any) -> bytes:
    document = {
        "id": name,
        "action": "inference",
        "outcome": "allow",
        "resource": "m",
        "reasons": [],
        "obligations": {},
        "ttl_seconds": 60.0,
        "facts": FACTS,
    }
    return orjson.dumps({**document, **changes})


@pytest.mark.parametrize("properties", [MARKER, None, [], 7])
def test_a_segment_that_was_kept_out_is_none(properties: object) -> None:
    facts = {**FACTS, "subject": {**FACTS["subject"], "properties": properties}}
    found = parse("dec-1", "inference", record("dec-1", facts=facts, masked=["/subject/properties"]))
    assert (found.segment, found.masked) == ("none", ["/subject/properties"])


def test_a_record_from_before_there_were_masks_has_none() -> None:
    assert parse("dec-1", "inference", record("dec-1")).masked == []


def test_in_a_record_from_before_there_were_holds_nothing_was_held() -> None:
    def held(package: str, context: object) -> object:
        found = parse("dec-1", package, record("dec-1", facts={**FACTS, "context": context})).facts["context"]
        return found.get("holds") if isinstance(found, dict) else found

    for package in ("model_access", "gradient_submission", "inference"):
        assert held(package, {"time": 1.0}) == {"known": True, "current": {}}
        assert held(package, {"holds": {"known": False, "current": {}}}) == {"known": False, "current": {}}
        assert held(package, MARKER) == MARKER
    assert held("admin", {"time": 1.0}) is None


async def test_a_masked_record_lends_no_values_to_others(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, masked in (("dec-1", []), ("dec-2", ["/context/mood"])):
            row = (name, 1.0, "inference", "dev-1", "allow", record(name, masked=masked, facts={**FACTS, "name": name}))
            await store.decisions.add_many([row])
        denied = Recorded("dec-3", "inference", orjson.loads(record("dec-3", outcome="deny")))
        assert [facts["name"] for facts in await allowed_alike(store.decisions, denied)] == ["dec-1"]
    finally:
        await store.close()
