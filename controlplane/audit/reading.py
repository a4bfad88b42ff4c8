"""Read a record as this version writes it, or as an earlier one did."""

import json
from typing import Any

from pydantic import ValidationError

from controlplane.audit.errors import AuditUnavailable
from controlplane.contracts.decision import DecisionRecord

GONE = frozenset({"quarantine"})
"""Obligations that earlier versions wrote: where a subject stands is a decision of its own now."""


def read_record(decision_id: str, document: bytes) -> DecisionRecord:
    """Return a recorded decision.

    Raises:
        AuditUnavailable: the record is damaged.
    """
    try:
        return DecisionRecord.model_validate_json(document)
    except ValidationError:
        earlier = _without_what_is_gone(document)
    try:
        return DecisionRecord.model_validate_json(earlier)
    except ValidationError:
        raise AuditUnavailable(f"the record of {decision_id} is damaged; restore it from a backup") from None


def _without_what_is_gone(document: bytes) -> bytes:
    try:
        stated: Any = json.loads(document)
    except (ValueError, RecursionError):
        return document
    if not isinstance(stated, dict) or not isinstance(stated.get("obligations"), dict):
        return document
    obligations = {name: value for name, value in stated["obligations"].items() if name not in GONE}
    return json.dumps({**stated, "obligations": obligations}).encode()
