"""A lessor on the control plane's own store, without its API and its policy: for times that tests can set."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from adapters.errors import TooMany, Unreachable
from controlplane.contracts.access import AccessReason
from controlplane.contracts.budgets import Amounts, BudgetLease, BudgetScope, LeaseUse, Limits, SettledLease
from controlplane.contracts.problem import Problem
from controlplane.storage.budgets import Budgets
from tests.controlplane.storage.conftest import NOW

_NUMBERS = count()


class StoredLessor:
    """Leases a fixed part to one gateway, of budgets that are all alike.

    Attributes:
        asked: how often a lease was asked for.
        leased: how often one was given.
        gate: while it is not set, nobody gets one.
        was_asked: set once one was.
        settled: every use that was told.
        is_away: it cannot be reached.
    """

    def __init__(
        self,
        budgets: Budgets,
        gateway: str = "gw-1",
        part: tuple[int, int] = (10, 1000),
        limit: tuple[int, int] = (10_000, 10_000_000),
        clock: Callable[[], float] = lambda: NOW,
    ) -> None:
        self.asked = self.leased = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.was_asked = asyncio.Event()
        self.settled: list[LeaseUse] = []
        self.is_away = False
        self._budgets = budgets
        self._gateway = gateway
        self._part = part
        amounts = Amounts(requests=limit[0], tokens=limit[1])
        scopes: tuple[BudgetScope, ...] = ("subject", "model", "segment")
        self._limits: Limits = {scope: {"hour": amounts, "day": amounts} for scope in scopes}
        self._clock = clock

    async def lease_budget(self, subject: str, model: str, *, tokens: int, requests: int = 1) -> BudgetLease:
        """Take the part, or just what is needed where the part is more than there is."""
        self.asked += 1
        self.was_asked.set()
        await self.gate.wait()
        if self.is_away:
            raise Unreachable("no connection could be made")
        now = self._clock()
        for wanted in ((max(requests, self._part[0]), max(tokens, self._part[1])), (requests, tokens)):
            lease = BudgetLease(
                id=f"lease-{next(_NUMBERS)}",
                subject=subject,
                model=model,
                segment="homes",
                requests=wanted[0],
                tokens=wanted[1],
                seconds=60.0,
                expires_at=now + 60.0,
                decision_id="dec-1",
            )
            if await self._budgets.lease(lease, self._gateway, self._limits, now):
                self.leased += 1
                return lease
        reason = AccessReason(code="model_within_budget", message="It has no room.", remedy="Wait.")
        told = Problem(type="urn:ztfm:problem:budget-exhausted", title="No room", status=429, reasons=[reason])
        raise TooMany("no room", retry_after=120.0, problem=told)

    async def settle_budgets(self, uses: Sequence[LeaseUse]) -> list[SettledLease]:
        """Settle, and remember what was told."""
        if self.is_away:
            raise Unreachable("no connection could be made")
        self.settled.extend(uses)
        return (await self._budgets.settle(self._gateway, uses, self._clock())).leases
