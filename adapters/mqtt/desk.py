"""What the bridge and the job have between them, over MQTT. Belongs to one event loop."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from adapters.guard import Guard
from adapters.jobs.board import Board
from adapters.jobs.desk import Desk
from adapters.jobs.reception import Reception
from adapters.jobs.refusals import Refusal
from adapters.mqtt.bounds import Bounds

_ANSWERS_A_MEMBER = 32
_STARTS = 16


class RetainedBoard(Board):
    """A board whose notice a broker keeps for whoever comes later.

    Args:
        publish: gives a notice to the broker.
    """

    def __init__(self, publish: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(0)
        self._publish = publish

    def post(self, notice: Mapping[str, Any]) -> None:
        """Show something else from now on."""
        super().post(notice)
        self._publish(self.notice)


class Given:
    """What was answered to each message, so that one that comes again is not carried out again.

    Of each member the latest few are remembered. A message is known by what it shows, not by its number: a broker and a
    client each have numbers of their own.
    """

    def __init__(self) -> None:
        self._answers: dict[str, OrderedDict[bytes, Refusal | str | None]] = {}

    def begin(self, member: str, message: bytes) -> None:
        """A message is being carried out."""
        kept = self._answers.setdefault(member, OrderedDict())
        kept[message] = None
        while len(kept) > _ANSWERS_A_MEMBER:
            kept.popitem(last=False)

    def end(self, member: str, message: bytes, answer: Refusal | str) -> None:
        """A message was answered. What was our own fault, or the network's, may be asked for again."""
        kept = self._answers.get(member, OrderedDict())
        if isinstance(answer, Refusal) and (answer.status >= 500 or answer.cause == "broken"):
            kept.pop(message, None)
        elif message in kept:
            kept[message] = answer

    def knows(self, member: str, message: bytes) -> bool:
        """Whether a message came before."""
        return message in self._answers.get(member, ())

    def answer(self, member: str, message: bytes) -> Refusal | str | None:
        """Return what was answered to a message; none while it is being carried out."""
        kept = self._answers.get(member)
        return None if kept is None else kept.get(message)

    def keep(self, members: Collection[str]) -> None:
        """Forget everybody else."""
        self._answers = {name: kept for name, kept in self._answers.items() if name in members}


class MqttDesk(Desk):
    """Where messages and the job meet.

    Args:
        guard: as `Desk`; reception and bounds likewise.
        listed: as `Desk`.
        board: shows how the job stands at the broker.

    Attributes:
        bounds: that nobody goes beyond.
        identified: who has proven its name in this job, with what it called this start of its own.
        superseded: what those called earlier starts, the latest few.
        given: what was answered.
        counts: messages by what became of them: ``taken``, ``redelivered``, ``malformed``, ``unsent`` and others.
    """

    bounds: Bounds

    def __init__(
        self,
        guard: Guard,
        reception: Reception,
        bounds: Bounds,
        listed: Collection[str] | None,
        board: RetainedBoard,
    ) -> None:
        super().__init__(guard, reception, bounds, listed, board)
        self.identified: dict[str, str] = {}
        self.superseded: dict[str, deque[str]] = {}
        self.given = Given()
        self.counts: Counter[str] = Counter()

    def identify(self, name: str, start: str) -> bool:
        """Somebody has proven its name: from now on this start of it counts. Return whether it is the first one."""
        before = self.identified.get(name, start)
        if before != start:
            self.superseded.setdefault(name, deque(maxlen=_STARTS)).append(before)
        self.identified[name] = start
        return before == start

    def is_superseded(self, name: str, start: str) -> bool:
        """Whether another start of the same name announced itself after this one."""
        return start in self.superseded.get(name, ()) and start != self.identified.get(name)

    def forget(self) -> None:
        """Forget what was answered to those who are neither invited nor in the round that is open."""
        self.given.keep(self.invited)
