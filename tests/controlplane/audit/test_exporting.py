"""What a record says cannot break out of the form that it is written in."""

import json
import re
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.audit.exporting import WRITERS
from controlplane.contracts.decision import DecisionRecord
from controlplane.transparency.entries import Entry


@dataclass(frozen=True)
class At:
    place: int
    entry: Entry


ENTRY = At(7, Entry(commitment="0" * 64, id="dec-1", kind="decision", time_ms=1_767_225_600_000))
TEXT = st.text(min_size=1, max_size=60)


def decision(**changes: Any) -> DecisionRecord:
    stated = {
        "id": "dec-1",
        "time": 1_767_225_600.0,
        "action": "inference",
        "subject": "dev-1",
        "resource": "m",
        "outcome": "deny",
        "reasons": [{"code": "trust_low", "message": "m", "remedy": "r"}],
        "obligations": {},
        "rules": [],
        "ttl_seconds": 0.0,
        "policy_revision": "rev",
        "facts": {"subject": {"type": "device"}},
    }
    return DecisionRecord.model_construct(**{**DecisionRecord.model_validate(stated).__dict__, **changes})


@given(TEXT, TEXT)
def test_a_line_of_cef_has_its_eight_parts_whatever_is_said(subject: str, action: str) -> None:
    line = WRITERS["cef"](ENTRY, decision(subject=subject, action=action), b"{}", "1.0")
    assert "\n" not in line
    assert "\r" not in line
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(parts) == 8
    assert parts[0] == "CEF:0"
    assert parts[6] == "5"
    assert parts[7].startswith("rt=1767225600000 externalId=dec-1 cn1Label=place cn1=7 suser=")


@given(TEXT, TEXT)
def test_json_stays_json(subject: str, resource: str) -> None:
    one = decision(subject=subject, resource=resource)
    for form in ("ocsf", "ndjson"):
        line = WRITERS[form](ENTRY, one, b'{"id": "dec-1"}', "1.0")
        assert "\n" not in line
        json.loads(line)
    event = json.loads(WRITERS["ocsf"](ENTRY, one, b"{}", "1.0"))
    assert (event["actor"]["user"]["uid"], event["resources"][0]["uid"]) == (subject, resource)
    assert (event["status_id"], event["status_detail"], event["severity_id"]) == (2, "trust_low", 3)


def test_an_erased_record_leaves_its_entry() -> None:
    assert json.loads(WRITERS["ndjson"](ENTRY, None, None, "1.0"))["record"] is None
    assert json.loads(WRITERS["ocsf"](ENTRY, None, None, "1.0"))["metadata"]["uid"] == "dec-1"
    assert "externalId=dec-1" in WRITERS["cef"](ENTRY, None, None, "1.0")
