"""The guarded federation in Flower's simulation, where a machine may be busy."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from flwr.app import Message

from adapters.guard import Guard
from evaluation.federation.ending import RunIsOver
from evaluation.federation.flower import train_guarded
from evaluation.federation.plan import QUICK
from evaluation.smart_home.task import Task
from tests.adapters.flower.conftest import identity as identity
from tests.adapters.flower.local_grid import LocalGrid

NOBODY = cast("Guard", SimpleNamespace(audience="aggregator"))
"""A guard that is named in the first question; the run ends before it would do anything."""

TINY = SimpleNamespace(trainable_state=lambda: {"weight": torch.zeros(2)})
TASK = cast("Task", SimpleNamespace(devices=3, model=lambda: TINY))
"""What of a task is looked at before the first question."""


class Listening(LocalGrid):
    """Notes how long the first answer is waited for, and ends."""

    waited: float | None = None

    def __init__(self, nodes: int) -> None:
        super().__init__(cast("Any", None), nodes)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        self.waited = timeout
        raise RunIsOver


@pytest.mark.usefixtures("identity")
def test_devices_have_as_long_to_answer_as_to_train() -> None:
    grid = Listening(TASK.devices)
    with pytest.raises(RunIsOver):
        train_guarded(
            grid,
            TASK,
            QUICK,
            NOBODY,
            on_worth=lambda *_: None,
            on_round=lambda *_: None,
            round_seconds=240.0,
        )
    assert grid.waited == 240.0
