"""Budgets of inference: what a gateway may hold of them, as policy says, taken before it is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from controlplane.contracts.budgets import (
    LEASE_PREFIX,
    Amounts,
    BudgetLease,
    BudgetScope,
    LeaseRequest,
    LeaseTerms,
    LeaseUse,
    Limits,
    SettledLease,
    window_end,
)
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device
from controlplane.decisions.decider import Decider
from controlplane.decisions.gathering import HoldSource, subject_facts
from controlplane.decisions.ids import new_id
from controlplane.decisions.responding import Contended
from controlplane.storage.budget_windows import Window
from controlplane.storage.budgets import SCOPES, Settled

PACKAGE = "budget"
HELD_AS = "inference"
"""The action that a lease is for: while it is held in a segment, nothing is leased there."""

MAX_TRIES = 8
"""How often it is decided anew where others took of the same budgets meanwhile."""

WITHIN: Mapping[str, BudgetScope] = {f"{scope}_within_budget": scope for scope in SCOPES}
"""The requirements that time alone fulfils, by code."""

_log = structlog.get_logger("ztfm.budgets")


class BudgetStore(Protocol):
    """Keeps what was used and leased; `storage.budgets` does."""

    async def taken(self, owners: Mapping[BudgetScope, str], now: float) -> dict[Window, Amounts]:
        """Return what is used or leased of the windows that ``now`` lies in."""
        ...

    async def room_at(self, owners: Mapping[BudgetScope, str], asked: Amounts, now: float) -> float:
        """Return when the windows have ended that have no room."""
        ...

    async def out(self, subject: str, model: str, now: float) -> int:
        """Return how many leases gateways hold."""
        ...

    async def lease(self, lease: BudgetLease, gateway: str, limits: Limits, now: float) -> bool:
        """Take a lease from all of its budgets, or nothing from any."""
        ...

    async def settle(self, gateway: str, uses: Sequence[LeaseUse], now: float) -> Settled:
        """Count what was used, and give back the rest."""
        ...


class BudgetObserver(Protocol):
    """Counts leases."""

    def leased(self, outcome: str) -> None:
        """A lease was asked for, and this became of it."""
        ...

    def exhausted(self, scope: BudgetScope) -> None:
        """A budget of this kind had no room."""
        ...

    def settled(self, states: Sequence[str], used: Amounts, returned: Amounts, beyond: int) -> None:
        """Leases were settled."""
        ...


@dataclass(frozen=True, slots=True)
class Leased:
    """What became of a request for a lease.

    Attributes:
        decision: the last one.
        lease: that was taken; none where nothing was.
        retry_after: seconds after which there is room again, where budgets alone had none; none otherwise.
    """

    decision: Decision
    lease: BudgetLease | None = None
    retry_after: float | None = None


class BudgetDesk:
    """Leases parts of budgets to gateways, and settles them.

    Args:
        decider: asks policy, and records.
        store: keeps what was used and leased.
        holds: knows what is held.
        observer: counts.
        clock: Unix seconds.
    """

    def __init__(
        self,
        decider: Decider,
        store: BudgetStore,
        holds: HoldSource,
        observer: BudgetObserver,
        clock: Callable[[], float],
    ) -> None:
        self._decider = decider
        self._store = store
        self._holds = holds
        self._observer = observer
        self._clock = clock

    async def lease(self, gateway: str, asked: LeaseRequest, device: Device | None) -> Leased:
        """Decide on a lease, and take it.

        Args:
            gateway: who is to spend it.
            asked: what it needs.
            device: the subject as it is known now; none for a stranger.

        Raises:
            Contended: others took of the same budgets each time that it was decided.
            AuditUnavailable, StoreUnavailable: the decision or the lease could not be kept; nothing may be spent.
        """
        for number in range(MAX_TRIES):
            found = await self._try(gateway, asked, device, is_first=number == 0)
            if found is not None:
                return found
        raise Contended("others lease of the same budgets again and again")

    async def settle(self, gateway: str, uses: Sequence[LeaseUse]) -> list[SettledLease]:
        """Count what a gateway used of its leases, and give back the rest; told again, nothing changes.

        Raises:
            StoreUnavailable: it could not be kept.
        """
        found = await self._store.settle(gateway, uses, self._clock())
        self._observer.settled([one.state for one in found.leases], found.used, found.returned, found.beyond)
        if found.beyond:
            _log.warning("budget_overdrawn", gateway=gateway, tokens=found.beyond)
        return found.leases

    async def _try(self, gateway: str, asked: LeaseRequest, device: Device | None, *, is_first: bool) -> Leased | None:
        now = self._clock()
        decision = await self._decider.decide(PACKAGE, await self._facts(gateway, asked, device, now))
        if not decision.allowed:
            return await self._denied(decision, now, asked, device)
        terms = decision.obligations.lease
        if terms is None or device is None or not _is_enough(terms, asked):
            # Policy lets something be leased and does not say what of which budgets.
            self._observer.leased("error")
            return Leased(decision)
        expires_at = min(now + decision.ttl_seconds, float(window_end("hour", now)))
        lease = BudgetLease(
            id=new_id(LEASE_PREFIX, now),
            subject=device.id,
            model=asked.model,
            segment=device.segment,
            # Where others took what was left meanwhile, what waits is enough: that leaves most for all.
            requests=terms.requests if is_first else asked.requests,
            tokens=terms.tokens if is_first else asked.tokens,
            seconds=max(0.0, expires_at - now),
            expires_at=expires_at,
            decision_id=decision.id,
        )
        if not await self._store.lease(lease, gateway, terms.limits, now):
            return None
        self._observer.leased("leased")
        return Leased(decision, lease)

    async def _facts(self, gateway: str, asked: LeaseRequest, device: Device | None, now: float) -> dict[str, Any]:
        subject: dict[str, Any] = {"type": "device", "id": asked.subject}
        known = subject_facts(device, now)
        if known is not None:
            subject["properties"] = known
        taken: dict[str, dict[str, Any]] = {}
        if device is not None:
            for window, amounts in (await self._store.taken(_owners(device, asked), now)).items():
                taken.setdefault(window.scope, {})[window.span] = amounts.model_dump()
        return {
            "subject": subject,
            "action": {"name": PACKAGE},
            "resource": {"type": "model", "id": asked.model},
            "context": {
                "time": now,
                "gateway": gateway,
                "asked": {"requests": asked.requests, "tokens": asked.tokens},
                "taken": taken,
                "leases": await self._store.out(asked.subject, asked.model, now),
                "holds": self._holds.of(device.segment if device else None, HELD_AS),
            },
        }

    async def _denied(self, decision: Decision, now: float, asked: LeaseRequest, device: Device | None) -> Leased:
        codes = {reason.code for reason in decision.reasons}
        if decision.outcome == "error":
            self._observer.leased("error")
            return Leased(decision)
        if not codes or not codes <= WITHIN.keys() or device is None:
            self._observer.leased("denied")
            return Leased(decision)
        self._observer.leased("exhausted")
        for code in codes:
            self._observer.exhausted(WITHIN[code])
        _log.info("budget_exhausted", scopes=sorted(WITHIN[code] for code in codes), model=asked.model)
        owners = _owners(device, asked)
        short: dict[BudgetScope, str] = {WITHIN[code]: owners[WITHIN[code]] for code in codes}
        needed = Amounts(requests=asked.requests, tokens=asked.tokens)
        return Leased(decision, retry_after=await self._store.room_at(short, needed, now) - now)


def _owners(device: Device, asked: LeaseRequest) -> dict[BudgetScope, str]:
    return {"subject": device.id, "model": asked.model, "segment": device.segment}


def _is_enough(terms: LeaseTerms, asked: LeaseRequest) -> bool:
    is_whole = all(len(terms.limits.get(scope, {})) == 2 for scope in SCOPES)
    return is_whole and terms.requests >= asked.requests and terms.tokens >= asked.tokens
