"""A lease is what policy lets be leased and the store has, or nothing; others who were faster are met by deciding anew.

What decides and what keeps are stand-ins that do as each test says; the real ones are in tests/controlplane/api.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from controlplane.contracts.access import AccessReason
from controlplane.contracts.budgets import Amounts, BudgetLease, BudgetScope, LeaseRequest, LeaseTerms, LeaseUse, Limits
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.facts import FACTS
from controlplane.contracts.identity import Device
from controlplane.decisions.budgeting import MAX_TRIES, BudgetDesk
from controlplane.decisions.responding import Contended
from controlplane.storage.budget_windows import Window, windows_of
from controlplane.storage.budgets import Settled
from controlplane.telemetry import Metrics
from tests.controlplane.storage.conftest import NOW, new_device  # noqa: F401 - a fixture

ASKED = LeaseRequest(subject="dev-a", model="m", tokens=40)
LIMIT = Amounts(requests=100, tokens=1000)
LIMITS: Limits = {scope: {"hour": LIMIT, "day": LIMIT} for scope in ("subject", "model", "segment")}
TERMS = LeaseTerms(requests=8, tokens=500, limits=LIMITS)


class Policy:
    """Decides as it is told, and remembers what it was asked."""

    def __init__(self, **changes: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self._decision = {
            "id": "dec-1",
            "time": NOW,
            "action": "budget",
            "subject": "dev-a",
            "resource": "m",
            "outcome": "allow",
            "reasons": [],
            "obligations": Obligations(lease=TERMS),
            "rules": ["subject_known"],
            "ttl_seconds": 60.0,
            "policy_revision": "rev-1",
            **changes,
        }

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        FACTS[package].model_validate(facts)
        self.asked.append(facts)
        return Decision(**self._decision)


class Book:
    """A store where others are faster so many times."""

    def __init__(self, faster: int = 0) -> None:
        self.tries: list[BudgetLease] = []
        self._faster = faster

    async def taken(self, owners: Mapping[BudgetScope, str], now: float) -> dict[Window, Amounts]:
        return {window: Amounts(requests=1, tokens=2) for window in windows_of(owners, now)}

    async def room_at(self, owners: Mapping[BudgetScope, str], asked: Amounts, now: float) -> float:
        assert asked == Amounts(requests=1, tokens=40)
        return now + 1_000.0 * len(owners)

    async def out(self, _subject: str, _model: str, _now: float) -> int:
        return 3

    async def lease(self, lease: BudgetLease, gateway: str, limits: Limits, now: float) -> bool:
        assert (gateway, limits, now) == ("gw-1", LIMITS, NOW)
        self.tries.append(lease)
        return len(self.tries) > self._faster

    async def settle(self, gateway: str, uses: Sequence[LeaseUse], now: float) -> Settled:
        raise AssertionError("nothing is settled here")


class Unheld:
    """Nothing is held."""

    def of(self, _segment: str | None, action: str) -> Mapping[str, Any]:
        assert action == "inference"
        return {"known": True, "current": {}}


@pytest.fixture
def device(new_device: Callable[..., Device]) -> Device:  # noqa: F811
    return new_device(id="dev-a")


def desk(policy: Policy, book: Book, now: float = NOW) -> BudgetDesk:
    return BudgetDesk(policy, book, Unheld(), Metrics("0").budgets, lambda: now)  # type: ignore[arg-type]


async def test_policy_is_told_what_is_taken_of_all_three_budgets(device: Device) -> None:
    policy, book = Policy(), Book()
    found = await desk(policy, book).lease("gw-1", ASKED, device)
    [facts] = policy.asked
    spans = {"hour": {"requests": 1, "tokens": 2}, "day": {"requests": 1, "tokens": 2}}
    assert facts["context"]["taken"] == {"subject": spans, "model": spans, "segment": spans}
    assert (facts["context"]["leases"], facts["context"]["gateway"]) == (3, "gw-1")
    assert found.lease is not None
    assert (found.lease.requests, found.lease.tokens, found.lease.segment) == (8, 500, "homes")
    assert (found.lease.seconds, found.lease.expires_at) == (60.0, NOW + 60.0)


async def test_where_others_were_faster_it_is_decided_anew_and_then_for_what_waits_alone(device: Device) -> None:
    policy, book = Policy(), Book(faster=2)
    found = await desk(policy, book).lease("gw-1", ASKED, device)
    assert [(one.requests, one.tokens) for one in book.tries] == [(8, 500), (1, 40), (1, 40)]
    assert len(policy.asked) == 3
    assert found.lease == book.tries[-1]


async def test_who_is_always_slower_gets_nothing(device: Device) -> None:
    book = Book(faster=10**6)
    with pytest.raises(Contended):
        await desk(Policy(), book).lease("gw-1", ASKED, device)
    assert len(book.tries) == MAX_TRIES


@pytest.mark.parametrize(
    "terms",
    [
        None,
        TERMS.model_copy(update={"limits": {"subject": LIMITS["subject"], "model": LIMITS["model"]}}),
        TERMS.model_copy(update={"limits": {**LIMITS, "segment": {"hour": LIMIT}}}),
        TERMS.model_copy(update={"tokens": 39}),
    ],
    ids=["none", "no segment", "no day", "too little"],
)
async def test_what_policy_does_not_say_whole_is_not_leased(device: Device, terms: LeaseTerms | None) -> None:
    book = Book()
    found = await desk(Policy(obligations=Obligations(lease=terms)), book).lease("gw-1", ASKED, device)
    assert (found.lease, found.retry_after, book.tries) == (None, None, [])


async def test_nobody_leases_for_a_stranger_whatever_policy_says() -> None:
    book = Book()
    found = await desk(Policy(), book).lease("gw-1", ASKED, None)
    assert (found.lease, book.tries) == (None, [])


@pytest.mark.parametrize(
    ("outcome", "codes", "waits"),
    [
        ("deny", ["subject_within_budget"], 1_000.0),
        ("deny", ["model_within_budget", "segment_within_budget"], 2_000.0),
        ("deny", ["subject_active", "subject_within_budget"], None),
        ("deny", ["leases_few"], None),
        ("error", ["policy_deadline"], None),
    ],
)
async def test_waiting_helps_where_room_is_all_that_is_missing(
    device: Device, outcome: str, codes: list[str], waits: float | None
) -> None:
    reasons = [AccessReason(code=code, message="Missing.", remedy="Wait.") for code in codes]
    policy, book = Policy(outcome=outcome, reasons=reasons, obligations=Obligations()), Book()
    found = await desk(policy, book).lease("gw-1", ASKED, device)
    assert found.retry_after == waits
    assert (found.lease, book.tries) == (None, [])


async def test_a_lease_ends_with_its_hour(device: Device) -> None:
    class AnyTime(Book):
        async def lease(self, lease: BudgetLease, gateway: str, limits: Limits, now: float) -> bool:
            return True

    found = await desk(Policy(), AnyTime(), NOW + 3_590.0).lease("gw-1", ASKED, device)
    assert found.lease is not None
    assert (found.lease.seconds, found.lease.expires_at) == (10.0, NOW + 3_600.0)
