"""Budgets of inference: gateways lease parts of them and settle what they used; operators see how they stand."""

from collections.abc import Sequence
from urllib.parse import urlencode

from adapters.calls import Calls
from adapters.wire import read_answer
from controlplane.contracts.budgets import (
    BudgetLease,
    BudgetScope,
    BudgetsFound,
    BudgetStanding,
    LeaseRequest,
    LeaseUse,
    SettledLease,
    Settlements,
    SettlementsTaken,
)

_BUDGETS = "/v1/budgets"


class Budgeting(Calls):
    """What is asked about budgets; policy says how large they are (`policies/ztfm/budget`)."""

    async def lease_budget(self, subject: str, model: str, *, tokens: int, requests: int = 1) -> BudgetLease:
        """Lease a part of the budgets of a subject, a model and the subject's segment, to spend it here.

        Args:
            subject: the device that asks the model.
            model: that it asks.
            tokens: that are needed now; as many are leased at least.
            requests: that are needed now.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `TooMany` where a budget has no room, and its ``problem`` says
                whose; `Forbidden` where policy lets nothing be leased for this subject.
        """
        asked = LeaseRequest(subject=subject, model=model, requests=requests, tokens=tokens)
        return read_answer(BudgetLease, await self._post(f"{_BUDGETS}/leases", asked))

    async def settle_budgets(self, uses: Sequence[LeaseUse]) -> list[SettledLease]:
        """Say what was used of up to 256 leases; what is left goes back. Told again, nothing changes.

        Args:
            uses: one for each lease.

        Raises:
            ControlPlaneError: any of `adapters.errors`.
        """
        body = Settlements(settlements=list(uses))
        return read_answer(SettlementsTaken, await self._post(f"{_BUDGETS}/settlements", body)).settled

    async def inference_budgets(
        self, scope: BudgetScope | None = None, name: str | None = None, limit: int = 50
    ) -> list[BudgetStanding]:
        """Return how budgets stand in their current windows, the fullest first.

        Args:
            scope: those of subjects, models or segments alone.
            name: that of this one alone; a device may read its own.
            limit: so many at most, up to 200.
        """
        asked = {"scope": scope, "id": name, "limit": limit}
        query = urlencode({key: value for key, value in asked.items() if value is not None})
        return read_answer(BudgetsFound, await self._get(f"{_BUDGETS}?{query}")).budgets
