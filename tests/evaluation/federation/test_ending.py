"""A grid that ends when told to: over nodes that answer only when asked again, or never."""

import time
from collections.abc import Iterable
from threading import Event, Timer

import pytest
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

from evaluation.federation.ending import EndingGrid, RunIsOver
from tests.adapters.flower.conftest import identity as identity
from tests.adapters.flower.local_grid import LocalGrid

FOREVER = 10**9


class Slow(LocalGrid):
    """Two nodes; the first answers the first time it is asked for its reply, the second after ``rounds`` times."""

    def __init__(self, rounds: int) -> None:
        super().__init__(ClientApp(), 2)
        self._rounds = rounds
        self._asked = 0
        self._replies: list[Message] = []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = str(number)
            self._replies.append(Message(RecordDict(), reply_to=message))
        return [reply.metadata.reply_to_message_id for reply in self._replies]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        self._asked += 1
        there = self._replies[: 1 if self._asked <= self._rounds else 2]
        return [reply for reply in there if reply.metadata.reply_to_message_id in set(message_ids)]


def questions() -> list[Message]:
    return [Message(RecordDict(), node, "train") for node in (1, 2)]


def test_every_reply_is_waited_for_and_comes_once() -> None:
    replies = list(EndingGrid(Slow(3), Event()).send_and_receive(questions()))
    assert [reply.metadata.src_node_id for reply in replies] == [1, 2]


def test_who_has_not_answered_in_time_is_left_out() -> None:
    replies = list(EndingGrid(Slow(FOREVER), Event()).send_and_receive(questions(), timeout=0.3))
    assert [reply.metadata.src_node_id for reply in replies] == [1]


def test_a_wait_without_limit_ends_when_the_run_is_over() -> None:
    is_over = Event()
    Timer(0.3, is_over.set).start()
    began = time.monotonic()
    with pytest.raises(RunIsOver):
        EndingGrid(Slow(FOREVER), is_over).send_and_receive(questions())
    assert time.monotonic() - began < 5


def test_a_run_that_is_over_reaches_no_node() -> None:
    is_over = Event()
    is_over.set()
    grid = EndingGrid(Slow(0), is_over)
    for attempt in (grid.get_node_ids, lambda: grid.push_messages(questions()), lambda: grid.pull_messages(["0"])):
        with pytest.raises(RunIsOver):
            attempt()
