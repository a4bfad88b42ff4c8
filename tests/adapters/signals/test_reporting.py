"""Reports go out when a window has ended; a control plane that is away loses old ones, and stops nothing."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from adapters.errors import ControlPlaneError, Invalid, Unreachable
from adapters.signals import Reporter, Signals
from adapters.signals.reporting import KEPT_REPORTS
from controlplane.contracts.signals import MAX_SIGNALS, InferenceSignals, SignalsTaken
from tests.clocks import Clock


@dataclass
class Plane:
    """A stand-in that fails when it is told to; the real one is in tests/test_watching.py."""

    error: ControlPlaneError | None = None
    reports: list[list[InferenceSignals]] = field(default_factory=list)

    async def report_signals(self, signals: Sequence[InferenceSignals]) -> SignalsTaken:
        if self.error is not None:
            raise self.error
        self.reports.append(list(signals))
        return SignalsTaken(judged=len(signals), passed_over=0)


@dataclass
class Turns:
    """Sleeps until it is told to go on."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    slept: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, _seconds: float) -> None:
        self.slept.set()
        await self.go.wait()
        self.go.clear()

    async def turn(self) -> None:
        self.slept.clear()
        self.go.set()
        await self.slept.wait()


@asynccontextmanager
async def reporting(plane: Plane, subjects: int = 8192, waiting: int = 8192):  # type: ignore[no-untyped-def]
    clock, turns = Clock(), Turns()
    signals = Signals(clock=clock, subjects=subjects, waiting=waiting)
    reporter = Reporter(plane, signals, turns.sleep)
    await reporter.start()
    await reporter.start()
    await turns.slept.wait()
    try:
        yield signals, reporter, clock, turns
    finally:
        await reporter.close()
        await reporter.close()


async def test_a_window_is_reported_when_it_has_ended() -> None:
    plane = Plane()
    async with reporting(plane) as (signals, reporter, clock, turns):
        signals.observe("dev-1", "m", "turn on the light")
        await turns.turn()
        assert plane.reports == []
        clock.now += 60.0
        await turns.turn()
        await turns.turn()
        assert [[one.subject for one in report] for report in plane.reports] == [["dev-1"]]
        assert (reporter.reported, reporter.lost) == (1, 0)


async def test_many_subjects_go_in_reports_of_a_bounded_size() -> None:
    plane = Plane()
    async with reporting(plane) as (signals, reporter, clock, turns):
        for number in range(MAX_SIGNALS + 3):
            signals.observe(f"dev-{number}", "m", None)
        clock.now += 60.0
        await turns.turn()
        assert [len(report) for report in plane.reports] == [MAX_SIGNALS, 3]
        assert reporter.reported == MAX_SIGNALS + 3


async def test_what_could_not_be_told_is_told_when_the_control_plane_is_back() -> None:
    plane = Plane(Unreachable("away"))
    async with reporting(plane) as (signals, reporter, clock, turns):
        for number in range(3):
            signals.observe(f"dev-{number}", "m", None)
            clock.now += 60.0
            await turns.turn()
        assert plane.reports == []
        plane.error = None
        await turns.turn()
        assert [report[0].subject for report in plane.reports] == ["dev-0", "dev-1", "dev-2"]
        assert (reporter.reported, reporter.lost) == (3, 0)


async def test_what_waits_too_long_is_lost_the_oldest_first() -> None:
    plane = Plane(Unreachable("away"))
    async with reporting(plane) as (signals, reporter, clock, turns):
        for number in range(KEPT_REPORTS + 2):
            signals.observe(f"dev-{number}", "m", None)
            clock.now += 60.0
            await turns.turn()
        assert reporter.lost == 2
        plane.error = None
        await turns.turn()
        assert plane.reports[0][0].subject == "dev-2"


async def test_what_is_not_taken_is_not_told_again() -> None:
    plane = Plane(Invalid("it does not fit"))
    async with reporting(plane) as (signals, reporter, clock, turns):
        signals.observe("dev-1", "m", None)
        clock.now += 60.0
        await turns.turn()
        assert (reporter.reported, reporter.lost) == (0, 1)
        plane.error = None
        await turns.turn()
        assert plane.reports == []


async def test_numbers_that_no_window_holds_are_cut_and_the_next_window_is_reported() -> None:
    plane = Plane()
    async with reporting(plane) as (signals, reporter, clock, turns):
        for tokens in (5, 2_000_000_000, 5):
            signals.observe("dev-1", "m", "hello", prompt_tokens=tokens, answer_tokens=-tokens)
            signals.observe("dev-1", "m", "hello", prompt_tokens=tokens)
            await turns.turn()
            clock.now += 60.0
            await turns.turn()
        assert [report[0].prompt_tokens for report in plane.reports] == [10, 1_000_000_000, 10]
        assert reporter.reported == 3


async def test_who_cannot_be_named_keeps_nobody_else_from_being_reported() -> None:
    plane = Plane()
    async with reporting(plane) as (signals, reporter, clock, turns):
        signals.observe("no name at all", "m", "hello")
        signals.observe("dev-1", "m", "hello")
        await turns.turn()
        clock.now += 60.0
        await turns.turn()
        assert [[one.subject for one in report] for report in plane.reports] == [["dev-1"]]
        assert (signals.faults, reporter.faults) == (1, 0)


async def test_whatever_one_turn_meets_the_next_one_comes() -> None:
    plane = Plane()
    async with reporting(plane) as (signals, reporter, clock, turns):
        due, signals.due = signals.due, lambda: 1 / 0
        await turns.turn()
        signals.due = due
        assert reporter.faults == 1
        signals.observe("dev-1", "m", "hello")
        await turns.turn()
        clock.now += 60.0
        await turns.turn()
        assert reporter.reported == 1
