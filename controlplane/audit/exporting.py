"""The log in the forms that others read: NDJSON, ArcSight's Common Event Format, and OCSF.

Decisions become events of OCSF's class API Activity (6003, version 1.3), which says who asked what of which resource
and how that ended; what is no decision becomes one whose operation is the entry's kind.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol, get_args

from controlplane.contracts.decision import DecisionRecord
from controlplane.transparency.entries import Entry

Form = Literal["ndjson", "cef", "ocsf"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)

VENDOR, PRODUCT = "ZTFM", "control plane"

_SEVERITY = {"allow": 1, "deny": 5, "error": 7}
"""Of CEF, 0 to 10."""

_OCSF_SEVERITY = {"allow": 1, "deny": 3, "error": 4}
"""Informational, medium, high."""

_API_ACTIVITY, _APPLICATION, _OTHER = 6003, 6, 99


class Placed(Protocol):
    """An entry of the log, and where it is."""

    @property
    def place(self) -> int:
        """Counted from 0."""
        ...

    @property
    def entry(self) -> Entry:
        """It."""
        ...


Write = Callable[[Placed, DecisionRecord | None, bytes | None, str], str]
"""From an entry, the decision that it stands for, its record and the product's version to a line."""


def ndjson(one: Placed, decision: DecisionRecord | None, record: bytes | None, version: str) -> str:
    """Return an entry with its record as JSON; null where the record was erased."""
    stated = None if record is None else json.loads(record)
    return json.dumps({"place": one.place, "entry": one.entry.model_dump(), "record": stated}, separators=(",", ":"))


def cef(one: Placed, decision: DecisionRecord | None, record: bytes | None, version: str) -> str:
    """Return an entry in the Common Event Format, revision 0."""
    entry = one.entry
    outcome = "" if decision is None else decision.outcome
    head = [
        "CEF:0",
        VENDOR,
        PRODUCT,
        version,
        entry.kind if decision is None else decision.action,
        entry.kind if decision is None else f"{decision.action} {outcome}",
        str(_SEVERITY.get(outcome, 3)),
    ]
    extension: dict[str, object] = {"rt": entry.time_ms, "externalId": entry.id, "cn1Label": "place", "cn1": one.place}
    if decision is not None:
        extension |= {
            "suser": decision.subject,
            "request": decision.resource,
            "act": outcome,
            "reason": ",".join(reason.code for reason in decision.reasons),
            "cs1Label": "policyRevision",
            "cs1": decision.policy_revision,
        }
    stated = " ".join(f"{name}={_value(value)}" for name, value in extension.items() if value != "")
    return "|".join([head[0], *map(_header, head[1:])]) + "|" + stated


def ocsf(one: Placed, decision: DecisionRecord | None, record: bytes | None, version: str) -> str:
    """Return an entry as an event of OCSF's class API Activity."""
    entry = one.entry
    event: dict[str, Any] = {
        "class_uid": _API_ACTIVITY,
        "category_uid": _APPLICATION,
        "activity_id": _OTHER,
        "type_uid": _API_ACTIVITY * 100 + _OTHER,
        "time": entry.time_ms,
        "severity_id": 1,
        "status_id": 0,
        "metadata": {
            "version": "1.3.0",
            "uid": entry.id,
            "sequence": one.place,
            "product": {"name": PRODUCT, "vendor_name": VENDOR, "version": version},
        },
        "api": {"operation": entry.kind},
        "actor": {"app_name": "ztfm"},
        "src_endpoint": {"uid": "unknown"},
        "unmapped": {"commitment": entry.commitment},
    }
    if decision is not None:
        event |= {
            "severity_id": _OCSF_SEVERITY[decision.outcome],
            "status_id": 1 if decision.outcome == "allow" else 2,
            "status": decision.outcome,
            "status_detail": ", ".join(reason.code for reason in decision.reasons),
            "api": {"operation": decision.action, "response": {"code": 200 if decision.allowed else 403}},
            "actor": {"user": {"uid": decision.subject, "type_id": 99, "type": _type_of(decision.facts)}},
            "resources": [{"uid": decision.resource}],
            "policy": {"version": decision.policy_revision},
        }
    return json.dumps(event, separators=(",", ":"))


WRITERS: Mapping[Form, Write] = {"ndjson": ndjson, "cef": cef, "ocsf": ocsf}


def _type_of(facts: Mapping[str, object]) -> str:
    subject = facts.get("subject")
    stated = subject.get("type") if isinstance(subject, dict) else None
    return stated if isinstance(stated, str) else "unknown"


def _header(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text).replace("\\", "\\\\").replace("|", "\\|")


def _value(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("=", "\\=")
    return text.replace("\r", "\\r").replace("\n", "\\n")
