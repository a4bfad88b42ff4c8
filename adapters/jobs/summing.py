"""Lead the secure sums of a round's groups among members that come and go; whatever carries their messages.

Each stage of a group ends when all have answered that were asked, or when its time is over. Who has not answered by
then is left out as one who went away; who never came is not waited for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.credentials import Credentials
from adapters.guard.rounds import SealedRound
from adapters.guard.summing import Bounds, GroupServer, finish
from adapters.jobs.line import Line
from adapters.jobs.masking import Offer
from adapters.secureaggregation import SecureAggregationError, Sum
from adapters.secureaggregation.messages import Advertisement, Stage, read
from adapters.secureaggregation.relaying import STAGES, Desk
from adapters.secureaggregation.rostering import advertised
from adapters.secureaggregation.signing import is_named_after

_HEAD_BYTES = 64 * 1024
_MEMBER_BYTES = 1024
"""What a message that is no vector may have, and more for each member of the group."""


@dataclass
class Group:
    """A group's sum under way. Belongs to the job's event loop; its desk to the guard's thread.

    Attributes:
        server: of it.
        offer: what its members are told first.
        until: when this stage ends, on the event loop's clock.
        stage: what members do now.
        due: what each is to be sent for it.
        answered: whose answer of this stage was taken.
        is_over: it came to something, or to nothing.
        changed: set when the stage ends.
        listening: members who wait for it.
    """

    server: GroupServer
    offer: bytes
    until: float
    stage: Stage = "advertise"
    due: dict[str, bytes] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    is_over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    listening: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin: everybody is sent the offer."""
        self.desk = Desk(self.server, self.server.session)
        self.due = dict.fromkeys(self.server.members, self.offer)
        self.came: set[str] = set()

    def is_past(self, stage: Stage) -> bool:
        """Whether a stage has ended."""
        return self.is_over or STAGES.index(stage) < STAGES.index(self.stage)


class Sums:
    """The sums of a round's groups.

    Args:
        sealed: the round.
        servers: of its groups.
        bounds: of its sums.
        line: the guard's thread, in which everything is verified.
        until: when members must have come, on the event loop's clock.
        stage_seconds: that each stage after that may take.

    Attributes:
        servers: the same, for the guard to rule on.
    """

    def __init__(
        self,
        sealed: SealedRound,
        servers: Sequence[GroupServer],
        bounds: Bounds,
        line: Line,
        *,
        until: float,
        stage_seconds: float,
    ) -> None:
        self.servers = list(servers)
        self._manifest = sealed.manifest
        self._bounds = bounds
        self._line = line
        self._seconds = stage_seconds
        self._groups = [
            Group(server, Offer.of(server.session, server.members, bounds.value).model_dump_json().encode(), until)
            for server in servers
        ]
        self._of = {name: group for group in self._groups for name in group.server.members}

    @property
    def came(self) -> list[str]:
        """Members who took part in a sum, for as long as they did."""
        return [name for group in self._groups for name in group.server.members if name in group.came]

    @property
    def is_over(self) -> bool:
        """Whether every sum came to something or to nothing."""
        return all(group.is_over for group in self._groups)

    def next_end(self) -> float:
        """Return when the next stage ends whoever is missing, on the event loop's clock."""
        return min(group.until for group in self._groups if not group.is_over)

    def ready(self, now: float) -> list[Group]:
        """Return the groups whose stage is to end now.

        Args:
            now: on the event loop's clock.
        """
        return [one for one in self._groups if not one.is_over and (one.due.keys() <= one.answered or now >= one.until)]

    def limit_bytes(self, name: str, stage: Stage) -> int:
        """Return how long a member's answer may be.

        Args:
            name: of a member of the round.
            stage: that it is of.
        """
        session = self._of[name].server.session
        vector = session.length * session.bits // 8 if stage == "mask" else 0
        return vector + _HEAD_BYTES + _MEMBER_BYTES * len(self._of[name].server.members)

    async def due(self, name: str, stage: Stage, seconds: float) -> bytes | None:
        """Return what a member is to be sent for a stage; empty where it has not begun within so many seconds.

        None where the stage is over, or this member has no part in it any more.

        Args:
            name: of a member of the round, as the transport knows it.
            stage: that it is ready for.
            seconds: to wait. Of one member one waits at a time; others are told at once that there is nothing yet.
        """
        group = self._of[name]
        if name not in group.listening and not group.is_past(stage) and group.stage != stage:
            group.listening.add(name)
            try:
                async with asyncio.timeout(seconds):
                    while not group.is_past(stage) and group.stage != stage:
                        await group.changed.wait()
            except TimeoutError:
                return b""
            finally:
                group.listening.discard(name)
        if group.is_past(stage):
            return None
        return group.due.get(name) if group.stage == stage else b""

    async def receive(self, name: str, stage: Stage, path: Path, shown: Credentials | None) -> str:
        """Take a member's answer in, or return in a word what is wrong with it.

        Args:
            name: who is at the other end, as the transport knows.
            stage: that it is of.
            path: of the answer; it is bounded by `limit_bytes`.
            shown: what came with masked values, and must hold for them.
        """
        group = self._of[name]
        found = await self._line(_take, group, name, stage, path, shown)
        if not found and group.stage == stage and not group.is_over:
            group.answered.add(name)
            group.came.add(name)
        return found

    def declined(self, name: str, cause: str) -> None:
        """Keep why a member's masked values were not even looked at; unless better ones come, the guard is told.

        Args:
            name: of a member of the round.
            cause: why.
        """
        group = self._of[name]
        if group.stage == "mask" and name not in group.answered:
            group.server.refused[name] = cause

    async def advance(self, group: Group, now: float) -> None:
        """End a stage of a group, whoever has not answered.

        Args:
            group: one that is `ready`.
            now: on the event loop's clock.
        """
        due, fault = await self._line(_next, group)
        if fault is not None or group.stage == STAGES[-1]:
            await self._line(finish, group.server, lambda: _came_to(group, fault), self._manifest, self._bounds)
            group.is_over = True
        else:
            group.stage = STAGES[STAGES.index(group.stage) + 1]
            group.due, group.answered, group.until = due, set(), now + self._seconds
        group.changed.set()
        group.changed = asyncio.Event()


def _take(group: Group, name: str, stage: Stage, path: Path, shown: Credentials | None) -> str:
    """Take an answer in; in the guard's thread."""
    server, desk = group.server, group.desk
    if desk.stage != stage or desk.sum is not None:
        return "late"
    raw = path.read_bytes()
    if stage == "advertise" and not _can_be_checked(server, raw):
        return "not_signed"
    if stage == "mask":
        if name in server.participants("mask"):
            # The credentials of what was added stay those that it is reported with.
            return "twice"
        if shown is not None:
            server.show(name, shown)
    found = desk.receive(name, stage, raw)
    if stage == "mask" and not found:
        server.refused.pop(name, None)
    elif stage == "mask" and found == "malformed":
        server.refused.setdefault(name, found)
    return found


def _can_be_checked(server: GroupServer, raw: bytes) -> bool:
    """Whether keys are signed so that every other member can see it, who asks nobody: else all would leave the sum."""
    said = read(Advertisement, raw)
    return said is not None and advertised(said.token, server.session, server.members, is_named_after) is not None


def _next(group: Group) -> tuple[dict[str, bytes], SecureAggregationError | None]:
    """End a stage; in the guard's thread."""
    try:
        group.desk.advance()
    except SecureAggregationError as error:
        return {}, error
    found = {name: group.desk.due(name) for name in group.server.members}
    return {name: raw for name, raw in found.items() if raw is not None}, None


def _came_to(group: Group, fault: SecureAggregationError | None) -> Sum:
    if fault is not None:
        raise fault
    if group.desk.sum is None:
        raise SecureAggregationError("the last stage ended, and there is no sum")
    return group.desk.sum
