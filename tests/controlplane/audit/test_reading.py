"""A record reads back as it was written, also by an earlier version; a damaged one is a fault."""

import json
from typing import Any

import pytest

from controlplane.audit import AuditUnavailable
from controlplane.audit.reading import GONE, read_record
from tests.controlplane.contracts.samples import SAMPLES

RECORD: dict[str, Any] = next(sample for model, sample in SAMPLES if model.__name__ == "DecisionRecord")


def written(**changes: Any) -> bytes:
    return json.dumps({**RECORD, **changes}).encode()


def test_a_record_reads_back_as_it_was_written() -> None:
    record = read_record("dec-1", written())
    assert json.loads(record.model_dump_json(exclude_none=True)) == RECORD


@pytest.mark.parametrize("value", [True, False])
def test_what_an_earlier_version_said_in_another_way_is_passed_over(value: bool) -> None:
    earlier = {**RECORD["obligations"], **dict.fromkeys(GONE, value)}
    assert read_record("dec-1", written(obligations=earlier)) == read_record("dec-1", written())


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 5000,
        written(obligations=None),
        written(obligations=[]),
        written(obligations={**RECORD["obligations"], "unheard": True}),
        written(obligations={**RECORD["obligations"], "quarantine": True, "unheard": True}),
        written(outcome="maybe"),
        written(surplus=1),
    ],
)
def test_a_damaged_record_is_a_fault(document: bytes) -> None:
    with pytest.raises(AuditUnavailable, match="dec-1 is damaged"):
        read_record("dec-1", document)
