"""What the programs of a Flower deployment import, imported; and nodes and server app that look more often.

Flower's SuperNode asks for messages every three seconds when there was none, its server app for replies as often: a
job of the kit would be spent on waiting. What they say to each other is not changed.
"""

import time
from types import SimpleNamespace
from typing import Any

import flwr.cli.app
import flwr.supercore.cli
import flwr.superlink.cli
import flwr.supernode.cli  # noqa: F401 - these are imported to be there
import httpcore  # noqa: F401
import torch
from flwr.superlink.grid import http_grid
from flwr.supernode import start_client_internal

import adapters.flower.deployed.apps  # noqa: F401

_NODE_SECONDS = 1.0
"""A node's question goes through sidecar and proxy, which take part of this machine for each."""

_SERVER_SECONDS = 0.3


def _look_every(module: Any, most: float) -> None:
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, most))

    module.time = SimpleNamespace(**{**vars(time), "sleep": sleep})


_look_every(http_grid, _SERVER_SECONDS)
_look_every(start_client_internal, _NODE_SECONDS)
torch.set_num_threads(1)
