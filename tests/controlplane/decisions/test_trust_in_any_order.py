"""Subjects that behave, misbehave, wait and are let back, by the policies as shipped: never trusted straight out of
quarantine, never let back early."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from controlplane.contracts.identity import Device
from controlplane.decisions.decider import Decider
from controlplane.decisions.log_policy import LogPolicy
from controlplane.history.engine import Policies, deciding
from controlplane.sidecar import locate_opa
from controlplane.storage import Store, open_store
from tests.clocks import Clock
from tests.controlplane import behaving
from tests.controlplane.behaving import NOW
from tests.controlplane.decisions.test_responding import HOSTILE, NEWCOMER, Side, observation
from tests.machines import Machine, few
from tests.policies.support import POLICIES

DAY = 86_400.0
NEXT = {
    "trusted": {"trusted", "watched", "quarantined"},
    "watched": {"trusted", "watched", "quarantined"},
    "quarantined": {"quarantined", "recovering"},
    "recovering": {"recovering", "watched", "quarantined"},
}
"""Where a subject may stand after each state."""


class Unrecorded:
    """Keeps and counts nothing."""

    async def record(self, *_record: object) -> None: ...

    def __getattr__(self, _name: str) -> Any:
        return lambda *_, **__: None


class Subjects(Machine):
    """Knows where each subject stood."""

    policies: ClassVar[Policies]
    runner: ClassVar[asyncio.Runner]
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(NOW)
        self.stood: dict[str, str] = {}
        self.since: dict[str, float] = {}

    def run_now(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.run_now(self._begin())

    async def _begin(self) -> None:
        self.store = await open_store(f"sqlite+aiosqlite:///{self.folder / 'ztfm.db'}")
        self.side = Side(self.store, self.clock)
        nobody: Any = Unrecorded()
        self.side.responder._decider = Decider(
            self.policies.engine,
            nobody,
            nobody,
            LogPolicy(self.policies.engine, nobody, clock=time.monotonic),
            clock=self.clock,
            timer=time.monotonic,
        )
        peers = [behaving.device() for _ in range(25)]
        self.devices = peers[:2]
        for one in peers:
            await self.store.devices.add(one)
        for _ in range(12):
            await self.side.responder.observe("access", [observation(one, 0.0) for one in peers])
        for one in self.devices:
            kept = await self.side.kept(one)
            self.stood[one.id], self.since[one.id] = kept.record.state if kept.record else "watched", self.clock()

    async def close(self) -> None:
        if hasattr(self, "store"):
            await self.store.close()

    @rule(number=st.integers(0, 1), is_hostile=st.booleans(), times=st.sampled_from([1, 6, 20]))
    def behave(self, number: int, is_hostile: bool, times: int) -> None:
        for _ in range(times):
            self.clock.now += 1.0
            self.run_now(self.side.observe(self._device(number), HOSTILE if is_hostile else 0.0))
            self._look(number)

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([60.0, DAY / 2, DAY]))
    def wait(self, number: int, seconds: float) -> None:
        self.clock.now += seconds
        self.run_now(self.side.responder.time_passed(self._device(number)))
        self._look(number)

    def _device(self, number: int) -> Device:
        found = self.run_now(self.store.devices.get(self.devices[number].id))
        assert isinstance(found, Device)
        return found

    def _look(self, number: int) -> None:
        device = self._device(number)
        kept = self.run_now(self.side.kept(device))
        assert kept.record is not None
        was, now = self.stood[device.id], kept.record.state
        assert now in NEXT[was]
        assert (device.status == "quarantined") == (now == "quarantined")
        if was == "quarantined" != now:
            assert self.clock() - self.since[device.id] >= DAY
            assert kept.trust == NEWCOMER
        if now != was:
            self.stood[device.id], self.since[device.id] = now, self.clock()
        self.seen.add((was, now))

    seen: ClassVar[set[tuple[str, str]]] = set()


def test_trust_in_any_order() -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        Subjects.runner = runner
        Subjects.policies = runner.run(stack.enter_async_context(deciding(locate_opa(os.environ), POLICIES)))
        try:
            _led_through()
            run_state_machine_as_test(Subjects, settings=few(3, 10))  # type: ignore[no-untyped-call]
        finally:
            runner.run(stack.aclose())


def _led_through() -> None:
    """The way through quarantine once on purpose: what is looked at on the way is there to be seen."""
    machine = Subjects()
    try:
        machine.begin()
        machine.behave(0, True, 20)
        machine.wait(0, DAY / 2)
        machine.wait(0, DAY)
        machine.behave(0, False, 3)
    finally:
        machine.teardown()
    assert {("watched", "quarantined"), ("quarantined", "quarantined"), ("quarantined", "recovering")} <= Subjects.seen
