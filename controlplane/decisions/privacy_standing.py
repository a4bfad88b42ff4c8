"""How privacy budgets stand: what was spent of each account, what is left, and when there is room again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from controlplane.confidentiality.privacy import AccountantMissing, counted, first_day
from controlplane.contracts.privacy import (
    Account,
    Mechanism,
    PrivacyAccount,
    PrivacyPlan,
    PrivacyScope,
    PrivacySpending,
    PrivacyStanding,
)
from controlplane.decisions.privacy import Plans, PrivacyBook, one_more
from controlplane.storage.privacy import Spent

KEPT_DAYS = 400
"""For so many days at least it is kept on which day something was spent; how much was ever spent, for ever."""

MOST_DEVICES = 20
"""Of a data set, so many devices are told of, the fullest."""


class Accounts(Protocol):
    """Keeps what was spent; `storage.privacy` does."""

    async def spent(self, account: Account) -> Spent:
        """Return what was charged to an account."""
        ...

    async def of(self, scope: PrivacyScope, name: str) -> list[Account]:
        """Return the accounts of a device, or of a data set as a whole."""
        ...

    async def devices(self, data_set: str) -> int:
        """Return how many devices spent something of a data set."""
        ...

    async def fullest(self, data_set: str, scope: PrivacyScope, since: int, limit: int = ...) -> list[Account]:
        """Return the accounts that spent most since a day, the fullest first."""
        ...


class PrivacyStandings:
    """Tells how budgets stand.

    Args:
        plans: of policy.
        accounts: what was spent.
        book: composes it.
        clock: Unix seconds.
    """

    def __init__(self, plans: Plans, accounts: Accounts, book: PrivacyBook, clock: Callable[[], float]) -> None:
        self._plans = plans
        self._accounts = accounts
        self._book = book
        self._clock = clock

    async def of_device(self, device: str) -> PrivacyStanding:
        """Return the accounts of a device, one for each data set that it spent something of."""
        plans = await self._plans.plans() or {}
        found = [await self._account(account, plans) for account in await self._accounts.of("devices", device)]
        return PrivacyStanding(scope="devices", id=device, accounts=_fullest_first(found))

    async def of_data_set(self, data_set: str) -> PrivacyStanding | None:
        """Return the account of a data set as a whole, and those of its fullest devices; none of an unknown one."""
        plans = await self._plans.plans() or {}
        devices = await self._accounts.devices(data_set)
        whole = await self._accounts.of("data-sets", data_set)
        mine = [plan for plan in plans.values() if plan.terms.data_set == data_set]
        if not (devices or whole or mine):
            return None
        since = first_day(self._clock(), max((plan.budget.window_days for plan in mine), default=1))
        fullest = await self._accounts.fullest(data_set, "devices", since, MOST_DEVICES)
        found = [await self._account(account, plans) for account in (*whole, *fullest)]
        return PrivacyStanding(scope="data-sets", id=data_set, accounts=_fullest_first(found), devices=devices)

    async def fullest_share(self, data_set: str) -> float:
        """Return how much of its budget the fullest account of a data set has spent; 0 where nobody spent anything.

        Raises:
            AccountantMissing: the library that composes is not there.
        """
        standing = await self.of_data_set(data_set)
        if standing is None or not standing.accounts:
            return 0.0
        if not all(account.known for account in standing.accounts):
            raise AccountantMissing("what was spent cannot be composed: pip install 'ztfm[privacy]'")
        return max(account.share or 0.0 for account in standing.accounts)

    async def data_sets(self) -> list[str]:
        """Return the data sets that plans draw on."""
        plans = await self._plans.plans() or {}
        return sorted({plan.terms.data_set for plan in plans.values()})

    async def kept_days(self) -> int | None:
        """Return for how many days it is kept on which day something was spent; none while policy does not tell plans.

        A window may become twice as long before it reaches what is known of no day any more.
        """
        plans = await self._plans.plans()
        if plans is None:
            return None
        return max(KEPT_DAYS, *(2 * plan.budget.window_days for plan in plans.values())) if plans else KEPT_DAYS

    async def _account(self, account: Account, plans: Mapping[str, PrivacyPlan]) -> PrivacyAccount:
        spent = await self._accounts.spent(account)
        plan = _plan_of(account, plans.values())
        ever = counted(spent.days)
        since = None if plan is None else first_day(self._clock(), plan.budget.window_days)
        window = ever if since is None else counted(spent.days, since)
        stated = PrivacyAccount(
            scope=account.scope,
            id=account.id,
            data_set=account.data_set,
            known=False,
            budget=plan.budget if plan else None,
            delta=plan.terms.delta if plan else None,
            charges=spent.charges,
            spending=_spending(ever, window if plan else {}),
        )
        if plan is None:
            return stated
        try:
            return stated.model_copy(update=await self._composed(plan, spent, window, ever))
        except AccountantMissing:
            return stated

    async def _composed(
        self, plan: PrivacyPlan, spent: Spent, window: Mapping[Mechanism, int], ever: Mapping[Mechanism, int]
    ) -> Mapping[str, object]:
        delta, budget = plan.terms.delta, plan.budget
        now = await self._book.epsilon(window, delta)
        after = await self._book.epsilon(one_more(window, plan.terms.mechanism), delta)
        return {
            "known": True,
            "epsilon_spent": now,
            "epsilon_ever": await self._book.epsilon(ever, delta),
            "share": now / budget.epsilon,
            "returns_at": await self._book.returns_at(spent, plan) if after > budget.epsilon else None,
        }


def _plan_of(account: Account, plans: Iterable[PrivacyPlan]) -> PrivacyPlan | None:
    """Return the plan that an account is judged by: of those that charge it, the one with the least noise."""
    mode = "local" if account.scope == "devices" else "central"
    theirs = [plan for plan in plans if plan.terms.data_set == account.data_set and plan.terms.mode == mode]
    return min(theirs, key=lambda plan: plan.terms.noise_multiplier, default=None)


def _spending(ever: Mapping[Mechanism, int], window: Mapping[Mechanism, int]) -> list[PrivacySpending]:
    return [
        PrivacySpending(
            mode=one.mode,
            noise_multiplier=one.noise_multiplier,
            sampling=one.sampling,
            window=window.get(one, 0),
            ever=count,
        )
        for one, count in sorted(ever.items())
    ]


def _fullest_first(found: Sequence[PrivacyAccount]) -> list[PrivacyAccount]:
    return sorted(found, key=lambda one: -(one.share or 0.0))
