"""Privacy budgets: what a submission or a round would cost, and the charge before anything is given out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog

from controlplane.confidentiality.privacy import Accountant, AccountantMissing, counted, first_day, returns_on
from controlplane.confidentiality.privacy.windows import DAY_SECONDS
from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Decision
from controlplane.contracts.privacy import Account, Mechanism, PrivacyFact, PrivacyPlan, PrivacyTerms
from controlplane.decisions.holding import Holds
from controlplane.storage.privacy import Spent

BUDGET = "privacy_budget_left"
"""The requirement that a charge fulfils."""

Counts = Mapping[Mechanism, int]

_log = structlog.get_logger("ztfm.privacy")


class Plans(Protocol):
    """Knows which models have a plan; `decisions.privacy_plans` does."""

    async def plans(self) -> Mapping[str, PrivacyPlan] | None:
        """Return them by model; none while policy does not tell."""
        ...


class Ledger(Protocol):
    """Keeps what was spent; `storage.privacy` does."""

    async def spent(self, account: Account) -> Spent:
        """Return what was charged to an account."""
        ...

    async def charge(self, account: Account, mechanism: Mechanism, before: int, now: float) -> bool:
        """Charge an account once; false where it was charged another number of times than ``before``."""
        ...


class PrivacyObserver(Protocol):
    """Counts what is spent."""

    def privacy_charged(self, model: str, share: float) -> None:
        """A charge for a model left this share of the budget spent."""
        ...

    def privacy_denied(self, model: str) -> None:
        """A budget had no room for one more."""
        ...

    def privacy_unknown(self, cause: str) -> None:
        """It was not known what something would cost, so it is denied."""
        ...


class PrivacyBook:
    """Says what would be spent, and spends it.

    Args:
        plans: of policy.
        ledger: what was spent.
        accountant: composes it.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        plans: Plans,
        ledger: Ledger,
        accountant: Accountant,
        observer: PrivacyObserver,
        clock: Callable[[], float],
    ) -> None:
        self._plans = plans
        self._ledger = ledger
        self._accountant = accountant
        self._observer = observer
        self._clock = clock
        self._computing = asyncio.Lock()
        self._turns = Holds()

    async def submission(self, model: str, device: str, charged: PrivacyTerms | None) -> dict[str, Any] | None:
        """Return the `PrivacyFact` of a device's submission to a model; none for a model without a plan.

        Args:
            model: that is trained.
            device: that submits.
            charged: the terms that the round was charged for when it was opened; none where it was not.
        """
        plan = await self._plan(model)
        if not isinstance(plan, PrivacyPlan):
            return plan
        if plan.terms.mode == "central":
            is_charged = charged == plan.terms
            return _told(PrivacyFact(known=True, terms=plan.terms, budget=plan.budget, round_charged=is_charged))
        return await self._costs(plan, Account("devices", device, plan.terms.data_set))

    async def round(self, model: str) -> dict[str, Any] | None:
        """Return the `PrivacyFact` of a round that is opened; none where its aggregator adds no noise."""
        plan = await self._plan(model)
        if not isinstance(plan, PrivacyPlan):
            return plan
        if plan.terms.mode == "local":
            return None
        return await self._costs(plan, Account("data-sets", plan.terms.data_set, plan.terms.data_set))

    async def charge(self, facts: Mapping[str, Any], decision: Decision, model: str) -> bool:
        """Charge what an allowed decision on ``facts`` costs; `pay` of the facts' own subject and fact."""
        return await self.pay(facts["context"].get("privacy"), decision, model, facts["subject"]["id"])

    async def pay(self, fact: Mapping[str, Any] | None, decision: Decision, model: str, device: str) -> bool:
        """Charge what an allowed decision costs, before anything is given out; it is given back by nothing.

        Args:
            fact: the `PrivacyFact` that was decided on; none where there was none.
            decision: allowed.
            model: that is trained.
            device: whose account it is where devices add the noise.

        Returns:
            False, with nothing charged, when others spent of the account meanwhile: decide again.

        Raises:
            StoreUnavailable: it cannot be kept.
        """
        terms = decision.obligations.privacy
        if terms is None:
            return True
        if fact is None or "charges" not in fact or fact.get("terms") != terms.model_dump(exclude_none=True):
            # Policy asks for noise of which nobody said what it costs.
            return False
        account = account_of(terms, device)
        if not await self._ledger.charge(account, terms.mechanism, fact["charges"], self._clock()):
            return False
        self._observer.privacy_charged(model, fact["epsilon_after"] / fact["budget"]["epsilon"])
        return True

    def denied(self, reasons: Iterable[AccessReason], model: str) -> None:
        """Count a denial, where it is for a budget."""
        if any(reason.code == BUDGET for reason in reasons):
            self._observer.privacy_denied(model)

    @asynccontextmanager
    async def turn(self, model: str, device: str) -> AsyncIterator[None]:
        """Enter alone in this process: who decides and charges in turn need not decide again.

        Args:
            model: that is trained; one without a plan has nobody wait.
            device: that submits.
        """
        plans = await self._plans.plans()
        plan = plans.get(model) if plans else None
        if plan is None or plan.terms.mode == "central":
            yield
            return
        async with self._turns.of([f"{plan.terms.data_set} {device}"]):
            yield

    async def epsilon(self, counts: Counts, delta: float) -> float:
        """Return what is spent, composed; computed beside the event loop, one at a time.

        Raises:
            AccountantMissing: the library that composes is not there.
        """
        found = self._accountant.known(counts, delta)
        if found is not None:
            return found
        async with self._computing:
            return await asyncio.to_thread(self._accountant.epsilon, counts, delta)

    async def returns_at(self, spent: Spent, plan: PrivacyPlan) -> float | None:
        """Return when an account has room for one more (Unix seconds), or none for never.

        Raises:
            AccountantMissing: the library that composes is not there.
        """
        one, now = plan.terms.mechanism, self._clock()

        def fits(counts: Counts) -> bool:
            return self._accountant.epsilon(one_more(counts, one), plan.terms.delta) <= plan.budget.epsilon

        async with self._computing:
            day = await asyncio.to_thread(returns_on, spent.days, now, plan.budget.window_days, fits)
        return None if day is None else float(day * DAY_SECONDS)

    async def _plan(self, model: str) -> PrivacyPlan | dict[str, Any] | None:
        plans = await self._plans.plans()
        return self._unknown("plans_unknown") if plans is None else plans.get(model)

    async def _costs(self, plan: PrivacyPlan, account: Account) -> dict[str, Any]:
        terms, budget = plan.terms, plan.budget
        spent = await self._ledger.spent(account)
        window = counted(spent.days, first_day(self._clock(), budget.window_days))
        try:
            alone = await self.epsilon({terms.mechanism: 1}, terms.delta)
            before = await self.epsilon(window, terms.delta)
            after = await self.epsilon(one_more(window, terms.mechanism), terms.delta)
            returns_at = await self.returns_at(spent, plan) if after > budget.epsilon else None
        except AccountantMissing as error:
            _log.error("accountant_missing", remedy=str(error))
            return self._unknown("accountant_missing")
        except (ArithmeticError, ValueError, MemoryError) as error:
            _log.error("accountant_failed", error=type(error).__name__, data_set=terms.data_set)
            return self._unknown("accountant_failed")
        return _told(
            PrivacyFact(
                known=True,
                terms=terms,
                budget=budget,
                charges=spent.charges,
                epsilon_spent=before,
                epsilon_after=max(before, after),
                epsilon_alone=alone,
                returns_at=returns_at,
            )
        )

    def _unknown(self, cause: str) -> dict[str, Any]:
        self._observer.privacy_unknown(cause)
        return _told(PrivacyFact(known=False, cause=cause))


def account_of(terms: PrivacyTerms, device: str) -> Account:
    """Return the account that terms are charged to: the device's own, or that of the data set as a whole."""
    if terms.mode == "local":
        return Account("devices", device, terms.data_set)
    return Account("data-sets", terms.data_set, terms.data_set)


def one_more(counts: Counts, mechanism: Mechanism) -> dict[Mechanism, int]:
    """Return counts with one more of a mechanism."""
    return {**counts, mechanism: counts.get(mechanism, 0) + 1}


def _told(fact: PrivacyFact) -> dict[str, Any]:
    return fact.model_dump(exclude_none=True)
