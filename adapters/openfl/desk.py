"""Where the round's thread leaves questions, and the threads of OpenFL's server fetch them and leave answers."""

import hmac
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from openfl.protocols.base_pb2 import NamedTensor

from adapters.admission import DECLINED
from adapters.openfl.messages import FAILED, unpacked

Answer = Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What a collaborator sent for a task, as it came; nothing in it is believed.

    Attributes:
        size: of its data, as it claims.
        tensors: what it sent.
        ours: what is ours among them.
    """

    size: int
    tensors: Sequence[NamedTensor]
    ours: Mapping[str, str]


@dataclass
class Taking:
    """The part of a round in which weights leave and results come in.

    Attributes:
        number: of the round.
        tickets: by the name of a collaborator that may have the weights: what its requests must bear.
        tasks: by name, what each has to do.
        results: by name and task, what came first.
        given_up: who said that there is nothing to wait for.
    """

    number: int
    tickets: Mapping[str, str]
    tasks: Mapping[str, Sequence[str]]
    results: dict[str, dict[str, Result]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)

    def left(self, name: str) -> list[str]:
        """Return the tasks that a collaborator still has to do."""
        if name in self.given_up:
            return []
        return [task for task in self.tasks.get(name, ()) if task not in self.results.get(name, {})]

    @property
    def done(self) -> int:
        """How many collaborators have sent all that they had to."""
        return sum(not self.left(name) for name in self.tasks if name not in self.given_up)

    @property
    def is_over(self) -> bool:
        """Whether nobody is waited for."""
        return not any(self.left(name) for name in self.tasks)


class Desk:
    """Questions, answers and results, between threads.

    Args:
        clock: seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._questions: dict[str, Answer] = {}
        self._answers: dict[str, Answer] = {}
        self._seen: dict[str, float] = {}
        self._taking: Taking | None = None
        self._refused = 0

    def present(self, within: float) -> set[str]:
        """Return who asked for tasks within so many seconds."""
        with self._changed:
            return {name for name, at in self._seen.items() if self._clock() - at <= within}

    def ask(self, names: Collection[str], question: Mapping[str, str], seconds: float) -> dict[str, Answer]:
        """Ask collaborators the next time that they ask for tasks, and return the answers that come in time.

        Args:
            names: of collaborators.
            question: for all of them.
            seconds: that they have. Who was not seen for as long is asked, and not waited for.
        """
        wanted = self.present(seconds).intersection(names)
        return self._asked(names, question, seconds, lambda: wanted <= self._answers.keys())

    def gather(self, names: Collection[str], question: Mapping[str, str], seconds: float) -> dict[str, Answer]:
        """As `ask`, and wait for collaborators that have not been seen yet."""
        return self._asked(names, question, seconds, lambda: self._answers.keys() >= set(names))

    def take(self, taking: Taking, is_enough: Callable[[int, int], bool], seconds: float) -> None:
        """Let weights leave and results come in, until nobody is waited for or the time is over.

        Args:
            taking: is filled with what comes.
            is_enough: whether so many of so many collaborators are enough.
            seconds: that they have.
        """
        with self._changed:
            self._taking = taking
            self._changed.wait_for(
                lambda: taking.is_over or is_enough(taking.done, len(taking.tasks)), timeout=max(0.0, seconds)
            )
            self._taking = None

    def nudge(self) -> None:
        """Have what is waited for looked at once more."""
        with self._changed:
            self._changed.notify_all()

    def refusals(self) -> int:
        """Return how often weights were asked for in vain since this was asked last."""
        with self._changed:
            found, self._refused = self._refused, 0
            return found

    def seen(self, name: str) -> tuple[bool, list[str]]:
        """Return whether a question waits for a collaborator that asks for tasks, and what tasks it has."""
        with self._changed:
            self._seen[name] = self._clock()
            tasks = self._taking.left(name) if self._taking is not None and name in self._taking.tickets else []
            return name in self._questions, tasks

    def question(self, name: str) -> Answer:
        """Return what a collaborator is asked; empty when there is nothing."""
        with self._changed:
            return self._questions.get(name, {})

    def answer(self, name: str, tensors: Sequence[NamedTensor]) -> None:
        """Take in an answer; the first counts, and none that was not asked for."""
        found = unpacked(tensors)
        with self._changed:
            if self._questions.pop(name, None) is not None:
                self._answers[name] = found
                self._changed.notify_all()

    def may_receive(self, name: str, number: int, ticket: str) -> bool:
        """Whether a collaborator's pull held for the round that is open, and the request is that collaborator's."""
        with self._changed:
            known = self._taking.tickets.get(name) if self._taking and self._taking.number == number else None
            allowed = known is not None and hmac.compare_digest(known.encode(), ticket.encode())
            self._refused += not allowed
            return allowed

    def result(self, name: str, number: int, task: str, size: int, tensors: Sequence[NamedTensor]) -> bool:
        """Take in a task's results and return whether they were; the first counts, and nothing that was not asked."""
        ours = unpacked(tensors)
        with self._changed:
            taking = self._taking
            if taking is None or taking.number != number or task not in taking.left(name):
                return False
            taking.results.setdefault(name, {})[task] = Result(size, list(tensors), ours)
            if DECLINED in ours or FAILED in ours:
                taking.given_up.add(name)
            self._changed.notify_all()
            return True

    def _asked(
        self, names: Collection[str], question: Mapping[str, str], seconds: float, is_over: Callable[[], bool]
    ) -> dict[str, Answer]:
        with self._changed:
            self._answers = {}
            self._questions = dict.fromkeys(names, question)
            self._changed.wait_for(is_over, timeout=max(0.0, seconds))
            self._questions = {}
            found, self._answers = self._answers, {}
            return found
