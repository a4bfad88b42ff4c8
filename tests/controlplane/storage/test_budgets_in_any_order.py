"""Leases taken, spent, given back, lost with their gateway, over hours and restarts: never more than the budget."""

from collections import defaultdict
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from controlplane.contracts.budgets import Amounts, BudgetLease, LeaseUse, Limits
from controlplane.storage import Store, open_store
from controlplane.storage.budget_windows import Window, windows_of
from tests.controlplane.storage.conftest import NOW
from tests.machines import Machine, few

HOUR, DAY = Amounts(requests=6, tokens=100), Amounts(requests=9, tokens=160)
LIMITS: Limits = {scope: {"hour": HOUR, "day": DAY} for scope in ("subject", "model", "segment")}
GATEWAYS = ("gw-1", "gw-2")
SUBJECTS = ("dev-a", "dev-b")


@dataclass
class Held:
    """A lease that is out."""

    gateway: str
    subject: str
    windows: list[Window]
    requests: int
    tokens: int


class Budgets(Machine):
    """Knows what each window must hold."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.now, self.made = NOW, 0
        self.held: dict[str, Held] = {}
        self.gone: dict[str, str] = {}
        self.requests: dict[Window, int] = defaultdict(int)
        self.tokens: dict[Window, int] = defaultdict(int)

    @initialize()
    def begin(self) -> None:
        self.store = self.run_now(open_store(f"sqlite+aiosqlite:///{self.folder / 'ztfm.db'}"))

    async def close(self) -> None:
        if hasattr(self, "store"):
            await self.store.close()

    @rule(
        gateway=st.sampled_from(GATEWAYS),
        subject=st.sampled_from(SUBJECTS),
        requests=st.integers(1, 4),
        tokens=st.integers(0, 60),
    )
    def lease(self, gateway: str, subject: str, requests: int, tokens: int) -> None:
        self.made += 1
        name = f"lease-{self.made}"
        wanted = BudgetLease(
            id=name,
            subject=subject,
            model="m",
            segment="homes",
            requests=requests,
            tokens=tokens,
            seconds=60.0,
            expires_at=self.now + 60.0,
            decision_id="dec-1",
        )
        windows = windows_of({"subject": subject, "model": "m", "segment": "homes"}, self.now)
        has_room = all(
            self.requests[one] + requests <= LIMITS[one.scope][one.span].requests
            and self.tokens[one] + tokens <= LIMITS[one.scope][one.span].tokens
            for one in windows
        )
        assert self.run_now(self.store.budgets.lease(wanted, gateway, LIMITS, self.now)) == has_room
        if has_room:
            self.held[name] = Held(gateway, subject, windows, requests, tokens)
            self._count(self.held[name], requests, tokens)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        held = self.held[name]
        used = LeaseUse(
            lease=name, requests=data.draw(st.integers(0, held.requests)), tokens=data.draw(st.integers(0, held.tokens))
        )
        other = next(one for one in GATEWAYS if one != held.gateway)
        assert self._settled(other, used) == "unknown"
        assert self._settled(held.gateway, used) == "settled"
        self._count(held, used.requests - held.requests, used.tokens - held.tokens)
        self.gone[name] = self.held.pop(name).gateway

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def give_back_again(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.gone)))
        assert self._settled(self.gone[name], LeaseUse(lease=name, requests=0, tokens=0)) == "known"

    @rule(gateway=st.sampled_from(GATEWAYS))
    def die(self, gateway: str) -> None:
        # Nobody settles for it: what it had stays taken until the windows turn.
        self.held = {name: held for name, held in self.held.items() if held.gateway != gateway}

    @rule(seconds=st.sampled_from([30.0, 1800.0, 3600.0, 86_400.0]))
    def turn(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.run_now(self.store.close())
        self.begin()

    @invariant()
    def what_is_taken_is_what_was_leased_and_never_more_than_the_budget(self) -> None:
        if not hasattr(self, "store"):
            return
        for subject in SUBJECTS:
            owners = {"subject": subject, "model": "m", "segment": "homes"}
            found = self.run_now(self.store.budgets.taken(owners, self.now))  # type: ignore[arg-type] # of a closed set
            for window, amounts in found.items():
                assert (amounts.requests, amounts.tokens) == (self.requests[window], self.tokens[window])
                limit = LIMITS[window.scope][window.span]
                assert amounts.requests <= limit.requests
                assert amounts.tokens <= limit.tokens

    def _settled(self, gateway: str, used: LeaseUse) -> str:
        return self.run_now(self.store.budgets.settle(gateway, [used], self.now)).leases[0].state

    def _count(self, held: Held, requests: int, tokens: int) -> None:
        for window in held.windows:
            self.requests[window] += requests
            self.tokens[window] += tokens


def test_budgets_in_any_order() -> None:
    run_state_machine_as_test(Budgets, settings=few(8, 20))  # type: ignore[no-untyped-call]
