"""A federated job: gather members, open a round, take updates in, have the guard rule, go on. Whatever carries it."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from adapters.errors import ControlPlaneError, TooMany, Unavailable
from adapters.guard import Guard, RoundReport, SealedRound, summing
from adapters.jobs.bounds import Bounds
from adapters.jobs.desk import Desk
from adapters.jobs.keeping import JobError, JobFolder
from adapters.jobs.opened import OpenRound
from adapters.jobs.reception import Reception
from adapters.jobs.summing import Sums
from adapters.rollback import ArchiveError, Recipe, moved
from adapters.secureaggregation.relaying import STAGES

Reference = Callable[[int, Mapping[str, Tensor]], Mapping[str, Tensor] | None]
"""From the round's number and the model's state to the update that trusted data yields, or none."""

_GATING_SECONDS = 60.0
"""A round stays open at the control plane for as long as updates are screened and reported after the last one came."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

_log = logging.getLogger("ztfm.jobs")


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        is_finished: all rounds are done; else it was stopped, and can be gone on with.
        finished: rounds that are done, those of earlier runs among them.
        rounds: reports of this run's.
        state: the model's.
    """

    is_finished: bool
    finished: int
    rounds: tuple[RoundReport, ...]
    state: Mapping[str, Tensor]


class _Stopped(Exception):  # noqa: N818 - it is no fault
    """The job is to stop where nothing is lost by it."""


class FederatedJob(ABC):
    """Runs a job's rounds for clients that come to it. One client never stops it.

    Args:
        guard: of the job.
        reception: looks at credentials on arrival; entered and left with the job.
        folder: the job's.
        rounds: how many there are in all, those of earlier runs among them.
        members: who is invited to each round; none for whoever announces itself.
        bounds: that nothing goes beyond.
        server_rate: share of the way of what the updates become that the state moves; above 1 beyond it.
        reference: the update that trusted data yields; none compares each update with the others.
        sums: what members agree on where sums of groups alone may be seen; none for `Bounds` as they are.
        on_progress: told in a line what happens.
        clock: Unix seconds.
    """

    makes_sums: ClassVar[bool] = False
    """Whether this transport carries secure sums; where it does not, no round is opened that asks for them."""

    def __init__(
        self,
        guard: Guard,
        reception: Reception,
        folder: JobFolder,
        *,
        rounds: int,
        members: Sequence[str] | None = None,
        bounds: Bounds | None = None,
        server_rate: float = 1.0,
        reference: Reference | None = None,
        sums: summing.Bounds | None = None,
        on_progress: Callable[[str], None] = lambda _line: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._guard = guard
        self._reception = reception
        self._folder = folder
        self._rounds = rounds
        self._members = None if members is None else list(dict.fromkeys(members))
        self._bounds = bounds or Bounds()
        self._rate = server_rate
        self._reference = reference
        self._of_sums = sums or summing.Bounds()
        self._say = on_progress
        self._clock = clock
        self._is_stopping = False
        self._desk: Desk | None = None

    def stop(self) -> None:
        """End the job soon: a round that is open is given up, one that is judged is finished.

        Call it on the job's event loop.
        """
        self._is_stopping = True
        if self._desk is not None:
            self._desk.news.set()

    async def run(self) -> Ended:
        """Serve until all rounds are done, or the job is stopped.

        Raises:
            JobError: the control plane does not let this aggregator open rounds.
            ArchiveError: a round could not be archived: the archive is another job's.
            OSError: clients cannot be served, or the folder not be written.
        """
        desk = self._desk = self._opened_desk()
        reports: list[RoundReport] = []
        try:
            async with self._reception, self._serving():
                self._post("gathering")
                self._ready()
                try:
                    while self._folder.finished < self._rounds:
                        reports.append(await self._round(desk))
                except _Stopped:
                    _log.info("stopped after round %d", self._folder.finished)
                desk.current = None
                self._post("ended" if self._folder.finished >= self._rounds else "stopped")
                if not self._is_stopping:
                    await asyncio.sleep(self._bounds.linger_seconds)
        finally:
            desk.line.close()
        finished = self._folder.finished
        return Ended(finished >= self._rounds, finished, tuple(reports), self._folder.state)

    @abstractmethod
    def _opened_desk(self) -> Desk:
        """Return where those who answer requests meet the job."""

    @abstractmethod
    def _serving(self) -> AbstractAsyncContextManager[None]:
        """Let clients come for as long as the context is entered."""

    @abstractmethod
    def _ready(self) -> None:
        """Clients can come, and see how the job stands."""

    async def _round(self, desk: Desk) -> RoundReport:
        """Run one round and return its report."""
        number = self._folder.finished + 1
        opened = await self._open(desk, number)
        desk.current = opened
        try:
            desk.forget()
            self._post("open")
            self._say(f"round {number} of {self._rounds}: open for {len(opened.sealed.members)} members")
            await self._taken_in(desk, opened)
            # From here on the round is finished, whoever wants to stop: its updates are about to be used up.
            self._post("judging")
            report = await self._judged(desk, opened, number)
        finally:
            opened.is_closed = True
            desk.current = None
            self._folder.clear()
        if self._members is None:
            kept = [subject for subject in opened.came if subject not in report.quarantined]
            desk.announced = {**dict.fromkeys(kept), **desk.announced}
        self._post("gathering")
        self._say(f"round {number} of {self._rounds}: {_told(report)}")
        return report

    async def _taken_in(self, desk: Desk, opened: OpenRound) -> None:
        """Take in what members send, until all did or the time is over; the round is closed afterwards."""
        loop = asyncio.get_running_loop()
        if (sums := opened.sums) is None:
            seconds = max(0.0, opened.deadline - loop.time())
            await self._until(desk, lambda: opened.is_complete, seconds)
            opened.is_closed = True
            await self._renewed(desk, opened)
            return
        while not sums.is_over:
            seconds = max(0.0, sums.next_end() - loop.time())
            await self._until(desk, lambda: bool(sums.ready(loop.time())), seconds)
            for group in sums.ready(loop.time()):
                await sums.advance(group, loop.time())
        opened.is_closed = True

    async def _open(self, desk: Desk, number: int) -> OpenRound:
        """Return the next round, opened; a control plane that cannot answer is asked again."""
        pause = _FIRST_PAUSE
        while True:
            members = await self._gathered(desk, number)
            served = await asyncio.to_thread(self._folder.serve)
            sealed = await self._sealed(desk, members, number)
            if sealed is not None:
                break
            self._say(f"round {number} of {self._rounds}: the control plane cannot open it now; asking again")
            await self._until(desk, lambda: False, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        for subject in sealed.members:
            desk.announced.pop(subject, None)
        seconds, began = self._bounds.round_seconds, asyncio.get_running_loop().time()
        opened = OpenRound(sealed, served, self._folder.updates, self._clock() + seconds, began + seconds)
        return opened if sealed.confidentiality != "grouped" else await self._opened_for_sums(desk, opened)

    async def _opened_for_sums(self, desk: Desk, opened: OpenRound) -> OpenRound:
        """Return a round with the sums of its groups; its time is long enough for training and all stages."""
        stage = min(self._bounds.stage_seconds, self._bounds.round_seconds / 8)
        last = (len(STAGES) - 1) * stage
        until = opened.deadline - last
        servers = await desk.line(self._guard.group_servers, opened.sealed, self._of_sums)
        sums = Sums(opened.sealed, servers, self._of_sums, desk.line, until=until, stage_seconds=stage)
        return replace(opened, sums=sums, closes_at=opened.closes_at - last)

    async def _sealed(self, desk: Desk, members: Sequence[str], number: int) -> SealedRound | None:
        duration = self._bounds.round_seconds + self._bounds.renew_seconds + _GATING_SECONDS
        state, label = self._folder.state, f"round-{number}"
        try:
            return await desk.line(
                self._guard.seal,
                state,
                members,
                duration_seconds=duration,
                label=label,
                sums=self.makes_sums,
                noises=True,
            )
        except (Unavailable, TooMany):
            await desk.line(self._guard.drop, "seal", "unavailable")
            return None
        except (ControlPlaneError, ArchiveError, ValueError) as error:
            raise JobError(f"round {number} cannot be opened: {error}") from error

    async def _gathered(self, desk: Desk, number: int) -> list[str]:
        """Return who is invited, once there are enough."""
        if self._members is not None:
            return await desk.line(self._guard.admit, self._members)
        least, most = self._bounds.least_members, self._bounds.most_members
        if len(desk.announced) < least:
            self._say(f"round {number} of {self._rounds}: waits for {least} members")
        await self._until(desk, lambda: len(desk.announced) >= least)
        await self._until(desk, lambda: len(desk.announced) >= most, self._bounds.gather_seconds)
        return list(desk.announced)[:most]

    async def _renewed(self, desk: Desk, opened: OpenRound) -> None:
        """Ask those whose credentials ran out while others trained for fresh ones, and wait a while."""
        opened.stale = {one.subject for one in opened.taken.values() if self._guard.is_stale(one.credentials)}
        if opened.stale and self._bounds.renew_seconds:
            self._post("renewing")
            await self._until(desk, lambda: not opened.stale, self._bounds.renew_seconds)
        opened.stale = set()

    async def _judged(self, desk: Desk, opened: OpenRound, number: int) -> RoundReport:
        for subject in opened.absent if opened.sums is None else ():
            desk.ledger.member("gate", self._absence(subject), subject, opened.id)
        await desk.line(desk.ledger.hand_over(), self._guard)
        return await desk.line(self._aggregate, opened, number)

    def _absence(self, subject: str) -> str:
        """Return why nothing came of a member, in a word of the report's."""
        del subject
        return "absent"

    def _aggregate(self, opened: OpenRound, number: int) -> RoundReport:
        """Have the guard rule and move the state; in the guard's thread."""
        if opened.sums is not None:
            return self._added_up(opened, opened.sums, number)
        before, submissions = self._folder.state, opened.submissions()
        reference = self._reference(number, before) if self._reference and submissions else None
        gated = self._guard.gate(opened.sealed, submissions, reference=reference)
        step = gated.aggregate(opened.sealed.aggregation, opened.sealed.noise)
        after: Mapping[str, Tensor] = before
        if step is not None:
            after = moved(before, step, self._rate)
            recipe = Recipe(method=opened.sealed.aggregation, server_rate=self._rate)
            if opened.sealed.noise is None:
                # Noise that was added once is not added again: such a round cannot be done once more.
                self._guard.record(opened.sealed, gated, before, after, [recipe])
        return self._finished(self._guard.rollback(after) or after)

    def _added_up(self, opened: OpenRound, sums: Sums, number: int) -> RoundReport:
        """Have the guard rule on sums of groups and move the state; nothing is archived of such a round."""
        before = self._folder.state
        reference = self._reference(number, before) if self._reference else None
        gated = self._guard.gate_sums(opened.sealed, sums.servers, reference=reference)
        step = gated.aggregate(opened.sealed.aggregation)
        return self._finished(before if step is None else moved(before, step, self._rate))

    def _finished(self, after: Mapping[str, Tensor]) -> RoundReport:
        self._folder.finish(after)
        report = self._guard.latest()
        if report is None:
            raise RuntimeError("a round was gated and left no report")
        return report

    async def _until(self, desk: Desk, claim: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until a claim holds, or for so many seconds.

        Raises:
            _Stopped: the job is to stop.
        """
        try:
            async with asyncio.timeout(seconds):
                while not claim():
                    desk.news.clear()
                    if self._is_stopping:
                        raise _Stopped
                    await desk.news.wait()
        except TimeoutError:
            return

    def _post(self, state: str) -> None:
        if self._desk is None:
            return
        desk, opened = self._desk, self._desk.current
        more = {"renew": sorted(opened.stale)} if opened is not None and opened.stale else {}
        finished = self._folder.finished
        desk.post(state, finished=finished, rounds=self._rounds, **more)


def _told(report: RoundReport) -> str:
    causes: Counter[str] = Counter()
    for (_, cause), count in report.dropped.items():
        causes[cause] += count
    left_out = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    line = f"{report.accepted} of {report.submitted} updates accepted"
    return f"{line}; left out: {left_out}" if left_out else line
