"""Real members and a real guard at a real control plane."""

import os

os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1", RAY_USAGE_STATS_ENABLED="0")

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.guard import Guard, Member
from tests.support import MODEL, SEGMENTS, ControlPlane

AUDIENCE = "aggregator-1"


@pytest.fixture
def enrol(plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., Member]]:
    """Enrols a new member with a folder of its own."""
    numbers = count()
    with ExitStack() as stack:

        def enrolled(*roles: str, kind: type[Member] = Member) -> Member:
            granted = roles or ("trainer",)
            segment = SEGMENTS[granted[0]]
            folder = tmp_path / f"party-{next(numbers)}"
            member = kind.enrol(folder, plane.url, plane.token(granted, segment), roles=granted, segment=segment)
            return stack.enter_context(member)

        yield enrolled


@pytest.fixture
def guard(plane: ControlPlane, enrol: Callable[..., Member]) -> Guard:
    """A guard that is enrolled as an aggregator."""
    return Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.5)


@pytest.fixture
def state() -> dict[str, Tensor]:
    """A small model's state, with a counter that does not take part."""
    return {"weight": torch.ones(8, 4), "bias": torch.zeros(8), "steps": torch.tensor(3)}


def update_of(state: dict[str, Tensor], seed: int, scale: float = 0.1) -> dict[str, Tensor]:
    """An honest update: a common direction with noise of its own."""
    noise = torch.Generator().manual_seed(seed)
    return {
        name: scale * (torch.ones_like(tensor) + 0.3 * torch.randn(tensor.shape, generator=noise))
        for name, tensor in state.items()
        if tensor.is_floating_point()
    }
