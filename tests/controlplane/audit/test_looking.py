"""A look finds what is wanted, newest first, and is bounded however rare that is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from controlplane.audit import AuditUnavailable
from controlplane.audit.looking import MAX_READ, look
from controlplane.contracts.decision import DecisionQuery, Obligations

LAST = "~"


@dataclass(frozen=True)
class Page:
    records: Sequence[tuple[str, str, bytes]]
    before: str | None


class Log:
    """Records in order of id, as a store pages through them; it notes what was read."""

    def __init__(self, documents: dict[str, bytes], package: str = "inference") -> None:
        self._documents = documents
        self._package = package
        self.read = 0

    async def page(self, before: str, limit: int, scan: int) -> Page:
        names = sorted((name for name in self._documents if name < before), reverse=True)
        taken = names[: min(limit, scan)]
        self.read += len(taken)
        records = [(name, self._package, self._documents[name]) for name in taken]
        return Page(records, taken[-1] if len(taken) < len(names) else None)


def document(number: int, **changes: Any) -> bytes:
    reasons = [{"code": "trust_sufficient", "message": "m", "remedy": "r"}] if number % 10 == 0 else []
    record = {
        "id": f"dec-{number:05d}",
        "time": float(number),
        "action": "inference",
        "subject": "dev-a",
        "resource": "model-a",
        "outcome": "deny" if reasons else "allow",
        "reasons": reasons,
        "obligations": Obligations().model_dump(),
        "rules": ["trust_sufficient"],
        "ttl_seconds": 0.0,
        "policy_revision": f"rev-{number % 2}",
        "facts": {"subject": {"id": "dev-a"}},
        **changes,
    }
    return json.dumps(record).encode()


def log(count: int) -> Log:
    return Log({f"dec-{number:05d}": document(number) for number in range(count)})


async def whole(log: Log, query: DecisionQuery, limit: int) -> list[str]:
    found: list[str] = []
    before: str | None = LAST
    while before is not None:
        step = await look(log.page, query, before, limit)
        assert len(step.decisions) <= limit
        found += [one.id for one in step.decisions]
        before = step.before
    return found


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_what_no_column_holds_is_found_once_and_in_order(limit: int) -> None:
    found = await whole(log(500), DecisionQuery(reason="trust_sufficient"), limit)
    assert found == [f"dec-{number:05d}" for number in range(490, -1, -10)]
    others = Log({f"dec-{number:05d}": document(number, resource=f"model-{number % 3}") for number in range(9)})
    assert await whole(others, DecisionQuery(resource="model-1"), limit) == ["dec-00007", "dec-00004", "dec-00001"]
    found = await whole(log(100), DecisionQuery(revision="rev-1", outcome="allow"), limit)
    assert found == [f"dec-{number:05d}" for number in range(99, 0, -2)]


async def test_one_look_opens_no_more_than_it_may() -> None:
    many = log(MAX_READ * 2)
    step = await look(many.page, DecisionQuery(reason="nothing_like_it"), LAST, 50)
    assert step.decisions == []
    assert step.before is not None
    assert many.read <= MAX_READ + 200


async def test_an_action_is_found_by_its_own_name_and_by_its_package_s() -> None:
    kept = Log({"dec-1": document(1, action="key:rotate")}, package="admin")
    for action, count in {"key:rotate": 1, "admin": 1, "key:read": 0, "inference": 0}.items():
        assert len((await look(kept.page, DecisionQuery(action=action), LAST, 5)).decisions) == count


@pytest.mark.parametrize("damage", [b"", b"{}", b"null", b"\xff", document(1)[:-5]])
async def test_a_damaged_record_is_said_by_name(damage: bytes) -> None:
    with pytest.raises(AuditUnavailable, match="dec-00001"):
        await look(Log({"dec-00001": damage}).page, DecisionQuery(), LAST, 5)
